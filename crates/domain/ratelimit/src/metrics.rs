//! Names and instruments of the metrics; none has a subject as a label, and the label `policy` is bounded by the settings.

use std::sync::{Arc, LazyLock, Weak};

use opentelemetry::{KeyValue, global, metrics::Counter};

use crate::{Error, PolicyStats, manager::Inner};

/// Checks and reservations: labels `policy`, `outcome` = `allowed`, `denied`, `shadow`, `failed`, and `source` = `redis`, `lease`,
/// `local`, `none`.
pub(crate) const CHECKS: &str = "trackside.limits.checks";
/// Denials that cost no round trip: label `policy`.
pub(crate) const REMEMBERED: &str = "trackside.limits.remembered";
/// Reservations that ended: label `outcome` = `settled`, `unknown`, `failed`.
pub(crate) const SETTLEMENTS: &str = "trackside.limits.settlements";

static SETTLED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("trackside").u64_counter(SETTLEMENTS).with_description("reservations that were settled").build()
});

/// In the order of [`Source`](crate::Source).
const SOURCES: [&str; 3] = ["redis", "lease", "local"];

/// Counts the end of a reservation.
pub(crate) fn settled(settled: &Result<bool, Error>) {
    let outcome = match settled {
        Ok(true) => "settled",
        Ok(false) => "unknown",
        Err(_) => "failed",
    };
    SETTLED.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// Has the counts of a limiter read whenever metrics are: a decision at hand is too cheap to be told one by one.
pub(crate) fn observe(inner: &Arc<Inner>) {
    let meter = global::meter("trackside");
    let checks = Arc::downgrade(inner);
    meter
        .u64_observable_counter(CHECKS)
        .with_description("rate limit checks and reservations")
        .with_callback(move |observer| {
            for stats in all(&checks) {
                let observe = |outcome: &'static str, source: &'static str, count: u64| {
                    let policy = KeyValue::new("policy", stats.policy.to_string());
                    observer
                        .observe(count, &[policy, KeyValue::new("outcome", outcome), KeyValue::new("source", source)]);
                };
                for (source, (allowed, denied)) in SOURCES.into_iter().zip(stats.allowed.into_iter().zip(stats.denied))
                {
                    observe("allowed", source, allowed);
                    observe("denied", source, denied);
                }
                observe("shadow", "none", stats.shadow);
                observe("failed", "none", stats.failed);
            }
        })
        .build();
    let remembered = Arc::downgrade(inner);
    meter
        .u64_observable_counter(REMEMBERED)
        .with_description("denials that cost no round trip")
        .with_callback(move |observer| {
            for stats in all(&remembered) {
                observer.observe(stats.remembered, &[KeyValue::new("policy", stats.policy.to_string())]);
            }
        })
        .build();
}

fn all(inner: &Weak<Inner>) -> Vec<PolicyStats> {
    inner.upgrade().map(|inner| inner.stats()).unwrap_or_default()
}
