//! Starting telemetry for the process, and stopping it in time.

use std::{thread, time::Duration};

use opentelemetry::{Key, KeyValue, global, propagation::TextMapCompositePropagator, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::SdkTracerProvider,
};
use tokio::sync::oneshot;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt};

use crate::{
    Config, Error, MetricsHandle, logs, metrics,
    traces::{self, Delivery},
};

/// How long a shutdown may take, whatever state the collector is in.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// How long sending the last spans may take. Shorter, so that a slow collector is reported as itself.
const FLUSH_LIMIT: Duration = Duration::from_millis(1_500);

/// What the exporter itself uses: tracing it would make spans about sending spans.
const UNTRACED: [&str; 8] =
    ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower", "opentelemetry", "opentelemetry_sdk"];

/// Telemetry that runs. Keep it until the process ends, then call [`shutdown`](Self::shutdown).
#[derive(Debug)]
#[must_use = "the last spans are lost when it is not shut down"]
pub struct Telemetry {
    tracer_provider: SdkTracerProvider,
    meter_provider: SdkMeterProvider,
    delivery: Delivery,
    metrics: MetricsHandle,
}

/// Starts logs, traces and metrics for the whole process. Once: a second call is an error and changes nothing.
///
/// Instruments of `opentelemetry::global` record from now on; those made earlier never do.
///
/// ```
/// use trackside_telemetry::{Config, Error};
///
/// let telemetry = trackside_telemetry::init(&Config::new("docs", "1.0.0"))?;
/// opentelemetry::global::meter("docs").u64_counter("docs.examples").build().add(1, &[]);
/// assert!(telemetry.metrics().render().contains("docs_examples_total 1"));
///
/// assert!(matches!(trackside_telemetry::init(&Config::new("docs", "1.0.0")), Err(Error::AlreadyInstalled)));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// [`Error::AlreadyInstalled`]; [`Error::InvalidFilter`] and [`Error::InvalidSetting`] for settings that cannot be
/// understood; [`Error::Exporter`] and [`Error::Metrics`] when OpenTelemetry refuses. Never because a collector is away.
pub fn init(config: &Config) -> Result<Telemetry, Error> {
    let telemetry = Telemetry::build(config)?;
    tracing_subscriber::registry()
        .with(logs::layer(config)?)
        .with(telemetry.span_layer())
        .try_init()
        .map_err(|_| Error::AlreadyInstalled)?;
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]));
    global::set_tracer_provider(telemetry.tracer_provider.clone());
    global::set_meter_provider(telemetry.meter_provider.clone());
    Ok(telemetry)
}

// === impl Telemetry ===

impl Telemetry {
    /// The providers, not yet installed anywhere.
    fn build(config: &Config) -> Result<Self, Error> {
        let resource = resource(config);
        let (tracer_provider, delivery) = traces::provider(resource.clone(), config.otlp.as_ref())?;
        let (meter_provider, metrics) = metrics::provider(resource)?;
        Ok(Self { tracer_provider, meter_provider, delivery, metrics })
    }

    fn span_layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let untraced = UNTRACED.map(|target| (target, LevelFilter::OFF));
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer_provider.tracer("trackside"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_default(LevelFilter::INFO).with_targets(untraced))
    }

    /// The metrics, for whoever answers `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> MetricsHandle {
        self.metrics.clone()
    }

    /// Sends what is left and stops, within two seconds. Cancel-safe: it goes on in the background.
    ///
    /// # Errors
    /// [`Error::SpansLost`] when the collector did not take the last spans, [`Error::ShutdownTimeout`] when it kept
    /// telemetry waiting. Either way everything that can be stopped is.
    pub async fn shutdown(self) -> Result<(), Error> {
        let (done, stopped) = oneshot::channel();
        let Self { tracer_provider, meter_provider, delivery, metrics: _ } = self;
        // A thread of its own, because it blocks and cannot be stopped: the runtime must not wait for it at its end.
        let stop = move || {
            let traces = tracer_provider.shutdown_with_timeout(FLUSH_LIMIT);
            let metrics = meter_provider.shutdown_with_timeout(FLUSH_LIMIT);
            let failure = delivery.failure();
            // Nobody waits any more when the limit is over; then the answer is known without this one.
            let _ = done.send((traces.and(metrics), failure));
        };
        let timeout = Error::ShutdownTimeout { limit: SHUTDOWN_LIMIT };
        if let Err(error) = thread::Builder::new().name("telemetry-shutdown".to_owned()).spawn(stop) {
            return Err(Error::SpansLost { reason: format!("cannot start a thread: {error}") });
        }
        match tokio::time::timeout(SHUTDOWN_LIMIT, stopped).await {
            Ok(Ok((_, Some(reason)))) => Err(Error::SpansLost { reason }),
            Ok(Ok((Ok(()), None))) => Ok(()),
            Ok(Ok((Err(error), None))) => Err(Error::SpansLost { reason: error.to_string() }),
            Ok(Err(_)) | Err(_) => Err(timeout),
        }
    }
}

/// Who reports. What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say goes before the configuration.
fn resource(config: &Config) -> Resource {
    let standard = Resource::builder().build();
    let service_name = Key::from_static_str("service.name");
    let named = standard.get(&service_name).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", config.service_version.clone());
    let builder = Resource::builder().with_attribute(version);
    if named { builder.build() } else { builder.with_service_name(config.service_name.clone()).build() }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::Tracer as _;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::OtlpConfig;

    fn with_a_span(otlp: Option<OtlpConfig>) -> Telemetry {
        let telemetry = Telemetry::build(&Config { otlp, ..Config::new("test", "0") }).unwrap();
        telemetry.tracer_provider.tracer("test").in_span("work", |_| {});
        telemetry
    }

    /// Whether an HTTP/1.1 request has its head and as much of a body as the head announces.
    fn is_complete(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        request.len() >= head.len() + 4 + length.parse::<usize>().unwrap()
    }

    #[tokio::test]
    async fn without_a_collector_the_shutdown_is_clean() {
        with_a_span(None).shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn spans_reach_the_collector_before_the_shutdown_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut otlp = OtlpConfig::new(&format!("http://{}", listener.local_addr().unwrap()));
        otlp.headers.push(("api-key".to_owned(), "s3cret".to_owned()));
        let telemetry = with_a_span(Some(otlp));
        let collector = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let (mut request, mut chunk) = (Vec::new(), [0; 4_096]);
            while !is_complete(&request) {
                let length = connection.read(&mut chunk).await.unwrap();
                assert_ne!(length, 0, "the request ended early");
                request.extend_from_slice(&chunk[..length]);
            }
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&request).into_owned()
        };
        let (request, stopped) = tokio::join!(collector, telemetry.shutdown());
        stopped.unwrap();
        assert!(request.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("content-type: application/x-protobuf\r\n"), "{request}");
        assert!(request.contains("api-key: s3cret\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_when_telemetry_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let telemetry = with_a_span(Some(OtlpConfig::new(&format!("http://{address}"))));
        let error = telemetry.shutdown().await.unwrap_err();
        assert!(matches!(error, Error::SpansLost { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_collector_that_never_answers_does_not_hold_the_shutdown() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent =
            OtlpConfig { timeout: Duration::from_secs(3_600), ..OtlpConfig::new(&format!("http://{address}")) };
        let error = with_a_span(Some(silent)).shutdown().await.unwrap_err();
        assert!(matches!(error, Error::SpansLost { .. } | Error::ShutdownTimeout { .. }), "{error:?}");
    }

    #[test]
    fn a_collector_behind_tls_is_refused_rather_than_silently_lost() {
        let otlp = Some(OtlpConfig::new("https://collector:4318"));
        let error = Telemetry::build(&Config { otlp, ..Config::new("test", "0") }).unwrap_err();
        assert!(matches!(error, Error::InvalidSetting { .. }), "{error:?}");
    }
}
