//! Names and instruments of the metrics; none has a user or a session as a label.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Meter},
};

/// Sessions that were asked for: label `outcome` = `active`, `superseded`, `none`, `reused`, `failed`.
pub(crate) const LOADS: &str = "trackside.session.loads";
/// Log-ins: label `outcome` = `created`, `full`, `failed`.
pub(crate) const CREATED: &str = "trackside.session.created";
/// Rotations: label `outcome` = `rotated`, `superseded`, `none`, `reused`, `failed`.
pub(crate) const ROTATIONS: &str = "trackside.session.rotations";
/// Patches of a context that met another one and were tried anew.
pub(crate) const PATCH_CONFLICTS: &str = "trackside.session.patch_conflicts";
/// Ends by order: label `scope` = `one`, `all`.
pub(crate) const DESTROYED: &str = "trackside.session.destroyed";

pub(crate) struct Metrics {
    pub(crate) loads: Counter<u64>,
    pub(crate) created: Counter<u64>,
    pub(crate) rotations: Counter<u64>,
    pub(crate) patch_conflicts: Counter<u64>,
    pub(crate) destroyed: Counter<u64>,
}

/// The instruments, made at first use from the provider that is installed then.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::of(&global::meter("trackside")));

// === impl Metrics ===

impl Metrics {
    fn of(meter: &Meter) -> Self {
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            loads: counter(LOADS, "sessions that were asked for"),
            created: counter(CREATED, "log-ins"),
            rotations: counter(ROTATIONS, "rotations of secrets"),
            patch_conflicts: counter(PATCH_CONFLICTS, "patches of a context that were tried anew"),
            destroyed: counter(DESTROYED, "sessions that were ended by order"),
        }
    }
}

/// Counts one.
pub(crate) fn count(counter: &Counter<u64>, label: &'static str, value: &'static str) {
    counter.add(1, &[KeyValue::new(label, value)]);
}
