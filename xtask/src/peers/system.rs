//! Which systems are compared, and what must be known of each.

/// One system of the comparison.
#[derive(Debug)]
pub(crate) struct System {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Its folder in `benches/peers`.
    pub(crate) folder: &'static str,
    pub(crate) language: Language,
    /// A Lua expression for the jobs of the queue `peers` that are not acknowledged yet, waiting or held.
    pub(crate) remaining: &'static str,
    /// Jobs a second to expect, from which the number of jobs of a measurement follows.
    pub(crate) pace: Pace,
    /// How it is set, for whoever reads the table.
    pub(crate) settings: &'static str,
}

/// What its program is written in, which decides how it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// A crate of this workspace.
    Ours,
    /// `package.json` and `main.mjs`.
    Node,
    /// `requirements.txt` and `main.py`.
    Python,
}

/// Jobs a second to expect on an ordinary machine.
#[derive(Debug)]
pub(crate) struct Pace {
    /// One by one, 64 in flight, in bulk.
    pub(crate) enqueue: [usize; 3],
    /// With 1, 16 and 64 places.
    pub(crate) drain: [usize; 3],
}

/// In the order of the table.
pub(crate) const SYSTEMS: &[System] = &[
    System {
        name: "Trackside",
        folder: "trackside",
        language: Language::Ours,
        remaining: "redis.call('HLEN', '{peers:queue}:tasks')",
        pace: Pace { enqueue: [8_000, 40_000, 60_000], drain: [8_000, 40_000, 60_000] },
        settings: "defaults; the status of finished tasks is kept for a day",
    },
    System {
        name: "BullMQ",
        folder: "bullmq",
        language: Language::Node,
        remaining: "redis.call('LLEN', 'bull:peers:wait') + redis.call('LLEN', 'bull:peers:active')",
        pace: Pace { enqueue: [5_000, 30_000, 25_000], drain: [4_500, 15_000, 15_000] },
        settings: "removeOnComplete, ioredis without auto-pipelining; finished jobs leave nothing to ask for",
    },
    System {
        name: "Celery",
        folder: "celery",
        language: Language::Python,
        remaining: "redis.call('LLEN', 'celery') + redis.call('HLEN', 'unacked')",
        pace: Pace { enqueue: [1_500, 1_500, 2_000], drain: [900, 1_000, 1_000] },
        settings: "prefork; acks_late, ignore_result, no gossip, mingle or heartbeat",
    },
];
