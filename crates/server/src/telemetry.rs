//! Logs, traces and metrics, from the settings and the variables that OpenTelemetry standardises.

use anyhow::Context;
use trackside_api::MetricsSource;
use trackside_telemetry::{LogFormat, MetricsHandle, OtlpConfig, Telemetry};

use crate::config::{self, Config};

/// What `/metrics` answers.
pub(crate) struct Metrics(pub(crate) MetricsHandle);

/// Sets up the process' telemetry.
///
/// # Errors
/// When the log filter or an `OTEL_…` variable cannot be understood.
pub(crate) fn init(config: &Config) -> anyhow::Result<Telemetry> {
    let log_format = match config.log.format {
        config::LogFormat::Auto => LogFormat::Auto,
        config::LogFormat::Pretty => LogFormat::Pretty,
        config::LogFormat::Json => LogFormat::Json,
    };
    let otlp = OtlpConfig::from_variables(|name| std::env::var(name).ok()).context("telemetry")?;
    let settings = trackside_telemetry::Config {
        log_filter: config.log.filter.clone(),
        log_format,
        otlp,
        ..trackside_telemetry::Config::new("trackside", env!("CARGO_PKG_VERSION"))
    };
    trackside_telemetry::init(&settings).context("telemetry")
}

/// Sends what is left, for a bounded time.
pub(crate) async fn end(telemetry: Telemetry) {
    if let Err(error) = telemetry.shutdown().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last traces were not sent");
    }
}

impl MetricsSource for Metrics {
    fn gather(&self) -> String {
        self.0.render()
    }
}
