//! Names and instruments of the metrics; the label `cache.namespace` is bounded by the settings.

use std::sync::{Arc, LazyLock, Weak};

use opentelemetry::{KeyValue, global, metrics::Counter};
use trackside_core::Timestamp;

use crate::{NamespaceStats, manager::Inner};

/// Reads by what answered them: label `outcome` = `local`, `store`, `stale`, `miss`.
pub(crate) const READS: &str = "trackside.cache.reads";
/// Loaders that ran: label `outcome` = `ok`, `failed`.
pub(crate) const LOADS: &str = "trackside.cache.loads";
/// Calls that the store failed.
pub(crate) const ERRORS: &str = "trackside.cache.errors";
/// Changes: label `outcome` = `written`, `remembered`.
pub(crate) const WRITES: &str = "trackside.cache.writes";
/// Bytes of the copies in this process.
pub(crate) const LOCAL_BYTES: &str = "trackside.cache.local.bytes";
/// Bytes of the values in the store, as the last sweep saw them.
pub(crate) const STORE_BYTES: &str = "trackside.cache.store.bytes";
/// Of 100 calls of the store, 99 took no longer, to a factor of two: seconds.
pub(crate) const STORE_P99: &str = "trackside.cache.store.p99";
/// Times that changes may have been missed, and every copy was read again.
pub(crate) const GAPS: &str = "trackside.cache.gaps";

/// 1 while an alert fires: label `rule` = `hit_ratio`, `latency`.
pub(crate) const ALERT: &str = "trackside.cache.alert";

pub(crate) struct Metrics {
    pub(crate) gaps: Counter<u64>,
}

/// The instruments, made at first use from the provider that is installed then.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("trackside");
    Metrics { gaps: meter.u64_counter(GAPS).with_description("times that changes may have been missed").build() }
});

/// Has the counts of a manager read whenever metrics are.
pub(crate) fn observe(inner: &Arc<Inner>) {
    type Parts = fn(&NamespaceStats) -> Vec<(&'static str, u64)>;
    const COUNTERS: [(&str, &str, Parts); 4] = [
        (READS, "cache reads by what answered them", |stats| {
            vec![
                ("local", stats.local_hits),
                ("store", stats.store_hits),
                ("stale", stats.stale),
                ("miss", stats.misses),
            ]
        }),
        (LOADS, "loaders that ran", |stats| {
            vec![("ok", stats.loads.saturating_sub(stats.load_errors)), ("failed", stats.load_errors)]
        }),
        (ERRORS, "calls that the store failed", |stats| vec![("failed", stats.errors)]),
        (WRITES, "changes", |stats| vec![("written", stats.writes), ("remembered", stats.remembered)]),
    ];
    observe_alerts(Arc::downgrade(inner));
    let meter = global::meter("trackside");
    for (name, description, parts) in COUNTERS {
        let inner = Arc::downgrade(inner);
        meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| {
                for stats in all(&inner) {
                    for (outcome, count) in parts(&stats) {
                        let namespace = KeyValue::new("cache.namespace", stats.namespace.clone());
                        observer.observe(count, &[namespace, KeyValue::new("outcome", outcome)]);
                    }
                }
            })
            .build();
    }
    type Gauge = fn(&NamespaceStats) -> Option<f64>;
    #[expect(clippy::cast_precision_loss, reason = "bytes for a chart")]
    const GAUGES: [(&str, &str, Gauge); 3] = [
        (LOCAL_BYTES, "bytes of copies in the process", |stats| Some(stats.local_bytes as f64)),
        (STORE_BYTES, "bytes of values in the store", |stats| stats.store_bytes.map(|bytes| bytes as f64)),
        (STORE_P99, "slowest of 100 calls, in seconds", |stats| stats.store_p99.map(|time| time.as_secs_f64())),
    ];
    for (name, description, part) in GAUGES {
        let inner = Arc::downgrade(inner);
        meter
            .f64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                for stats in all(&inner) {
                    if let Some(value) = part(&stats) {
                        observer.observe(value, &[KeyValue::new("cache.namespace", stats.namespace.clone())]);
                    }
                }
            })
            .build();
    }
}

/// Has the alerts that fire read whenever metrics are.
fn observe_alerts(inner: Weak<Inner>) {
    let meter = global::meter("trackside");
    meter
        .u64_observable_gauge(ALERT)
        .with_description("1 while the alert fires")
        .with_callback(move |observer| {
            let alerts = inner.upgrade().map(|inner| inner.alerts.all(Timestamp::now())).unwrap_or_default();
            for alert in alerts.iter().filter(|alert| alert.is_firing()) {
                let namespace = KeyValue::new("cache.namespace", alert.namespace.to_string());
                observer.observe(1, &[namespace, KeyValue::new("rule", alert.rule.as_str())]);
            }
        })
        .build();
}

fn all(inner: &Weak<Inner>) -> Vec<NamespaceStats> {
    inner.upgrade().map(|inner| inner.all_stats()).unwrap_or_default()
}
