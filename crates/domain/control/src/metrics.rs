//! Names and instruments of the metrics; none has a user id as a label.

use std::sync::LazyLock;

use opentelemetry::{
    global,
    metrics::{Counter, Gauge},
};

/// Changes that this process came to know: label `change` = `pause`, `resume`.
pub(crate) const CHANGES: &str = "trackside.control.changes";
/// Brakes that are on, as this process knows it.
pub(crate) const PAUSED: &str = "trackside.control.paused";
/// Pauses that wait for the bus to come back.
pub(crate) const PENDING: &str = "trackside.control.pending";

pub(crate) struct Metrics {
    pub(crate) changes: Counter<u64>,
    pub(crate) paused: Gauge<u64>,
    pub(crate) pending: Gauge<u64>,
}

/// The instruments, made at first use from the provider that is installed then.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("trackside");
    Metrics {
        changes: meter.u64_counter(CHANGES).with_description("brake changes that this process came to know").build(),
        paused: meter.u64_gauge(PAUSED).with_description("brakes that are on").build(),
        pending: meter.u64_gauge(PENDING).with_description("pauses that wait for the bus").build(),
    }
});
