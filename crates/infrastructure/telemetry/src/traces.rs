//! Traces: a tracer provider that always makes ids, and sends spans when there is a collector.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};

use crate::{Error, OtlpConfig};

/// Spans that wait for the collector at most; more are dropped, a request is never delayed.
const QUEUE_SIZE: usize = 4_096;

/// Between two lines about a collector that is away.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// How sending goes, shared between the exporter's thread and the shutdown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery(Arc<Mutex<Failures>>);

#[derive(Debug, Default)]
struct Failures {
    /// Why the last batch was lost; `None` when it arrived.
    last: Option<String>,
    /// Spans lost since the last line about it.
    spans: usize,
    reported_at: Option<Instant>,
}

/// An exporter that logs failures itself, because OpenTelemetry's own lines come with every batch and are filtered out.
struct Reporting<E> {
    exporter: E,
    url: String,
    delivery: Delivery,
}

/// A provider. Without a collector it exports nothing, but ids exist and travel.
pub(crate) fn provider(resource: Resource, otlp: Option<&OtlpConfig>) -> Result<(SdkTracerProvider, Delivery), Error> {
    let delivery = Delivery::default();
    let mut builder = SdkTracerProvider::builder().with_resource(resource);
    if let Some(otlp) = otlp {
        if !otlp.traces_url.starts_with("http://") {
            let reason = "only http:// addresses are supported".to_owned();
            return Err(Error::InvalidSetting { name: "OTLP endpoint", reason });
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&otlp.traces_url)
            .with_headers(otlp.headers.iter().cloned().collect())
            .with_timeout(otlp.timeout)
            // A batch that did not arrive is not worth memory and time: the next one is ready.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(Error::Exporter)?;
        let exporter = Reporting { exporter, url: otlp.traces_url.clone(), delivery: delivery.clone() };
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE_SIZE).build();
        builder = builder.with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build());
    }
    Ok((builder.build(), delivery))
}

// === impl Delivery ===

impl Delivery {
    /// Why the last batch was lost, if it was.
    pub(crate) fn failure(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    fn record(&self, url: &str, spans: usize, result: &OTelSdkResult) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                if failures.last.take().is_some() {
                    tracing::info!(otlp.url = url, "the collector takes traces again");
                }
            }
            Err(error) => {
                failures.spans += spans;
                let due = failures.reported_at.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
                if due {
                    tracing::warn!(otlp.url = url, spans.lost = failures.spans, %error, "the collector takes no traces");
                    failures.reported_at = Some(Instant::now());
                    failures.spans = 0;
                }
                failures.last = Some(error.to_string());
            }
        }
    }
}

// === impl Reporting ===

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.delivery.record(&self.url, spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> Result<(), OTelSdkError> {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E> fmt::Debug for Reporting<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("url", &self.url).finish_non_exhaustive()
    }
}
