//! Names and instruments of the metrics; none has a subject as a label.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Meter},
};

use crate::{Decision, Error, PolicyName};

/// Checks and reservations: labels `policy`, `outcome` = `allowed`, `denied`, `shadow`, `failed`, and `source` = `redis`, `lease`,
/// `local`, `none`.
pub(crate) const CHECKS: &str = "trackside.limits.checks";
/// Reservations that ended: label `outcome` = `settled`, `unknown`, `failed`.
pub(crate) const SETTLEMENTS: &str = "trackside.limits.settlements";

pub(crate) struct Metrics {
    pub(crate) checks: Counter<u64>,
    pub(crate) settlements: Counter<u64>,
}

/// The instruments, made at first use from the provider that is installed then.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::of(&global::meter("trackside")));

// === impl Metrics ===

impl Metrics {
    fn of(meter: &Meter) -> Self {
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            checks: counter(CHECKS, "rate limit checks and reservations"),
            settlements: counter(SETTLEMENTS, "reservations that were settled"),
        }
    }
}

/// Counts a decision.
pub(crate) fn decided(policy: &PolicyName, decision: &Result<Decision, Error>) {
    let (outcome, source) = match decision {
        Ok(decision) if decision.would_deny => ("shadow", decision.source.as_str()),
        Ok(decision) if decision.allowed => ("allowed", decision.source.as_str()),
        Ok(decision) => ("denied", decision.source.as_str()),
        Err(_) => ("failed", "none"),
    };
    let policy = KeyValue::new("policy", policy.as_str().to_owned());
    METRICS.checks.add(1, &[policy, KeyValue::new("outcome", outcome), KeyValue::new("source", source)]);
}
