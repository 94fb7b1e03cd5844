//! Names and instruments of the metrics; none has an id as a label.

use std::sync::LazyLock;

use opentelemetry::{
    global,
    metrics::{Counter, UpDownCounter},
};

/// Updates by what became of them: label `outcome` = `written`, `coalesced`, `buffered`, `dropped`.
pub(crate) const UPDATES: &str = "trackside.progress.updates";
/// Times a writer lost an operation to another one and took it over again.
pub(crate) const TAKEOVERS: &str = "trackside.progress.takeovers";
/// Streams open in this process.
pub(crate) const STREAMS: &str = "trackside.progress.streams";
/// Streams that could not be continued and started over from a snapshot.
pub(crate) const RESETS: &str = "trackside.progress.resets";

pub(crate) struct Metrics {
    pub(crate) updates: Counter<u64>,
    pub(crate) takeovers: Counter<u64>,
    pub(crate) streams: UpDownCounter<i64>,
    pub(crate) resets: Counter<u64>,
}

/// The instruments, made at first use from the provider that is installed then.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("trackside");
    Metrics {
        updates: meter.u64_counter(UPDATES).with_description("progress updates by outcome").build(),
        takeovers: meter.u64_counter(TAKEOVERS).with_description("operations taken over from another writer").build(),
        streams: meter.i64_up_down_counter(STREAMS).with_description("open progress streams").build(),
        resets: meter.u64_counter(RESETS).with_description("streams restarted from a snapshot").build(),
    }
});
