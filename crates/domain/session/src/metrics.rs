//! Names and instruments of the metrics; none has a user or a session as a label. What one manager did is counted beside
//! them, for its statistics.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Meter},
};

use crate::SessionStats;

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

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Active,
    Created,
    Failed,
    Full,
    None,
    Reused,
    Rotated,
    Superseded,
}

/// What one manager did, by outcome.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    loads: [AtomicU64; OUTCOMES],
    created: [AtomicU64; OUTCOMES],
    rotations: [AtomicU64; OUTCOMES],
    destroyed: AtomicU64,
    destroyed_everywhere: AtomicU64,
}

const OUTCOMES: usize = 8;

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

// === impl Outcome ===

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Created => "created",
            Self::Failed => "failed",
            Self::Full => "full",
            Self::None => "none",
            Self::Reused => "reused",
            Self::Rotated => "rotated",
            Self::Superseded => "superseded",
        }
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn load(&self, outcome: Outcome) {
        note(&METRICS.loads, &self.loads, outcome);
    }

    pub(crate) fn create(&self, outcome: Outcome) {
        note(&METRICS.created, &self.created, outcome);
    }

    pub(crate) fn rotate(&self, outcome: Outcome) {
        note(&METRICS.rotations, &self.rotations, outcome);
    }

    pub(crate) fn destroy(&self) {
        self.destroyed.fetch_add(1, Relaxed);
        METRICS.destroyed.add(1, &[KeyValue::new("scope", "one")]);
    }

    pub(crate) fn destroy_everywhere(&self) {
        self.destroyed_everywhere.fetch_add(1, Relaxed);
        METRICS.destroyed.add(1, &[KeyValue::new("scope", "all")]);
    }

    pub(crate) fn read(&self) -> SessionStats {
        let of = |counts: &[AtomicU64; OUTCOMES], outcomes: &[Outcome]| {
            outcomes.iter().map(|outcome| counts[*outcome as usize].load(Relaxed)).sum()
        };
        SessionStats {
            created: of(&self.created, &[Outcome::Created]),
            refused: of(&self.created, &[Outcome::Full]),
            let_in: of(&self.loads, &[Outcome::Active, Outcome::Superseded]),
            turned_away: of(&self.loads, &[Outcome::None, Outcome::Reused]),
            reused: of(&self.loads, &[Outcome::Reused]) + of(&self.rotations, &[Outcome::Reused]),
            rotated: of(&self.rotations, &[Outcome::Rotated]),
            ended: self.destroyed.load(Relaxed),
            ended_everywhere: self.destroyed_everywhere.load(Relaxed),
            failed: [&self.loads, &self.created, &self.rotations]
                .map(|counts| of(counts, &[Outcome::Failed]))
                .iter()
                .sum(),
        }
    }
}

fn note(counter: &Counter<u64>, counts: &[AtomicU64; OUTCOMES], outcome: Outcome) {
    counts[outcome as usize].fetch_add(1, Relaxed);
    counter.add(1, &[KeyValue::new("outcome", outcome.as_str())]);
}
