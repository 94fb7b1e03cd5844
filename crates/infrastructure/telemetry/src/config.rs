//! What to log, and where to send traces.

use std::{fmt, str::FromStr, time::Duration};

use crate::Error;

/// Settings of the telemetry.
///
/// ```
/// use trackside_telemetry::{Config, LogFormat};
/// let config = Config { log_format: LogFormat::Json, ..Config::new("trackside", "1.2.3") };
/// assert_eq!(config.log_filter, "info");
/// assert!(config.otlp.is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The name under which this process reports, unless `OTEL_SERVICE_NAME` gives another.
    pub service_name: String,
    /// Its version.
    pub service_version: String,
    /// Directives of [`tracing_subscriber::EnvFilter`], such as `info,trackside_queue=debug`.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where traces are sent. Without it trace ids exist and travel, and no span leaves the process.
    pub otlp: Option<OtlpConfig>,
}

/// How log lines look.
///
/// ```
/// use trackside_telemetry::LogFormat;
/// assert_eq!("json".parse::<LogFormat>()?, LogFormat::Json);
/// # Ok::<(), trackside_telemetry::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: one line each, coloured when standard error is a terminal and `NO_COLOR` is not set.
    Pretty,
    /// For programs: one JSON object per line.
    Json,
    /// Pretty when standard error is a terminal, otherwise JSON.
    #[default]
    Auto,
}

/// An OpenTelemetry collector that takes traces by OTLP over HTTP, as protobuf.
///
/// Only `http://` addresses: a collector stands beside the process or in its network.
///
/// ```
/// use trackside_telemetry::OtlpConfig;
/// let otlp = OtlpConfig::new("http://collector:4318");
/// assert_eq!(otlp.traces_url, "http://collector:4318/v1/traces");
/// ```
#[derive(Clone, PartialEq)]
pub struct OtlpConfig {
    /// The full address to which traces are posted.
    pub traces_url: String,
    /// Header fields sent with each request. Their values are secrets and not shown by `Debug`.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
}

// === impl Config ===

impl Config {
    /// Logs at `info`, formatted for whoever reads standard error, and no collector.
    #[must_use]
    pub fn new(service_name: impl Into<String>, service_version: impl Into<String>) -> Self {
        Self {
            service_name: service_name.into(),
            service_version: service_version.into(),
            log_filter: "info".to_owned(),
            log_format: LogFormat::Auto,
            otlp: None,
        }
    }
}

// === impl LogFormat ===

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            "auto" => Ok(Self::Auto),
            _ => Err(Error::InvalidSetting {
                name: "log format",
                reason: format!("{text:?} is not one of pretty, json and auto"),
            }),
        }
    }
}

// === impl OtlpConfig ===

impl OtlpConfig {
    /// A collector at `base_url`, to which `/v1/traces` is added, with a time-out of 3 s.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self {
            traces_url: format!("{}/v1/traces", base_url.trim_end_matches('/')),
            headers: Vec::new(),
            timeout: Duration::from_secs(3),
        }
    }

    /// Reads the variables that OpenTelemetry standardises, through `variable`, which answers a variable's value.
    ///
    /// `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none` mean no collector. Otherwise the address is
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it stands, or `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces` added.
    /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS` hold header fields (`name=value,…`),
    /// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT` or `OTEL_EXPORTER_OTLP_TIMEOUT` the time-out in milliseconds.
    /// (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_TRACES_SAMPLER` are read by the OpenTelemetry SDK.)
    ///
    /// ```
    /// use trackside_telemetry::OtlpConfig;
    /// let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://localhost:4318".to_owned());
    /// let otlp = OtlpConfig::from_variables(variable)?;
    /// assert_eq!(otlp, Some(OtlpConfig::new("http://localhost:4318")));
    /// # Ok::<(), trackside_telemetry::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when headers or time-out cannot be understood.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let given = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let disabled = given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || given("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none") {
            return Ok(None);
        }
        let own = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let shared = || given("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| Self::new(&base).traces_url);
        let Some(traces_url) = own.or_else(shared) else { return Ok(None) };

        let either = |own: &str, shared: &str| given(own).or_else(|| given(shared));
        let headers = either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        let timeout = either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
        let defaults = Self::new("");
        Ok(Some(Self {
            traces_url,
            headers: headers.as_deref().map_or(Ok(Vec::new()), parse_headers)?,
            timeout: timeout.as_deref().map_or(Ok(defaults.timeout), parse_milliseconds)?,
        }))
    }
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OtlpConfig")
            .field("traces_url", &self.traces_url)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .finish()
    }
}

fn parse_headers(text: &str) -> Result<Vec<(String, String)>, Error> {
    let field = |field: &str| match field.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        // The text is not repeated: it may be a secret.
        None => Err(Error::InvalidSetting { name: "OTLP headers", reason: "not a list of name=value".to_owned() }),
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(field).collect()
}

fn parse_milliseconds(text: &str) -> Result<Duration, Error> {
    let reason = || format!("{text:?} is not a number of milliseconds");
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| Error::InvalidSetting { name: "OTLP time-out", reason: reason() })
}
