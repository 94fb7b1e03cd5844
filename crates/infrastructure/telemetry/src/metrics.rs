//! Metrics: one OpenTelemetry meter provider, read by Prometheus.

use std::sync::Arc;

use opentelemetry_sdk::{
    Resource,
    metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream},
};
use prometheus::{Registry, TextEncoder};

use crate::Error;

/// Bucket boundaries of durations, in seconds: 0.5 ms to 10 s. OpenTelemetry's own defaults are meant for
/// milliseconds; with them every duration in seconds falls into the first bucket.
///
/// They hold for histograms with the unit `s`, except those of the meter `trackside`, which bring their own.
pub const DURATION_BOUNDARIES: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The meter whose instruments state their own boundaries.
const OWN_METER: &str = "trackside";

/// Answers what `/metrics` shows. Clones share the metrics.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    registry: Arc<Registry>,
}

// === impl MetricsHandle ===

impl MetricsHandle {
    /// The Prometheus text format, version 0.0.4.
    ///
    /// A metric that cannot be written, such as one without a name, is left out and logged.
    #[must_use]
    pub fn render(&self) -> String {
        let encoder = TextEncoder::new();
        let mut text = String::new();
        for family in self.registry.gather() {
            match encoder.encode_to_string(std::slice::from_ref(&family)) {
                Ok(lines) => text.push_str(&lines),
                Err(error) => tracing::error!(metric.name = family.name(), %error, "cannot write a metric"),
            }
        }
        text
    }
}

/// A provider and the handle that reads it.
pub(crate) fn provider(resource: Resource) -> Result<(SdkMeterProvider, MetricsHandle), Error> {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(Error::Metrics)?;
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).with_view(durations).build();
    Ok((provider, MetricsHandle { registry: Arc::new(registry) }))
}

fn durations(instrument: &Instrument) -> Option<Stream> {
    let applies = instrument.kind() == InstrumentKind::Histogram
        && instrument.unit() == "s"
        && instrument.scope().name() != OWN_METER;
    let aggregation =
        Aggregation::ExplicitBucketHistogram { boundaries: DURATION_BOUNDARIES.to_vec(), record_min_max: false };
    // The builder refuses only boundaries that are not sorted.
    if applies { Stream::builder().with_aggregation(aggregation).build().ok() } else { None }
}
