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
    /// A crate with a workspace and a lock file of its own; its program is `peer-<folder>`.
    Rust,
    /// `package.json` and `main.mjs`.
    Node,
    /// `requirements.txt` and `main.py`.
    Python,
}

/// Caches, of which nothing is counted from outside.
pub(crate) const CACHES: &[System] = &[
    plain("Trackside", "trackside", Language::Ours, "defaults; TypedCache, which decodes a copy once"),
    plain(
        "redis-py",
        "redis-py",
        Language::Python,
        "GET and SET … EX written by hand, uvloop, hiredis, 20 connections",
    ),
    plain("cashews", "cashews", Language::Python, "client-side caching, pickle, lock=True, uvloop, hiredis"),
    plain("bentocache", "bentocache", Language::Node, "memory over Redis with the bus between processes, JSON"),
];

/// Rate limiters, of which nothing is counted from outside either.
pub(crate) const LIMITS: &[System] = &[
    plain("Trackside", "trackside", Language::Ours, "defaults: `window`; three limits are one check"),
    plain(
        "rate-limiter-flexible",
        "rate-limiter-flexible",
        Language::Node,
        "RateLimiterRedis without a block in memory; three limits are three limiters asked at once",
    ),
    plain(
        "limits",
        "limits",
        Language::Python,
        "sliding window counter, redis-py, uvloop, hiredis; three limits are three hits at once",
    ),
];

/// One whose own program is all that is measured.
const fn plain(name: &'static str, folder: &'static str, language: Language, settings: &'static str) -> System {
    System { name, folder, language, remaining: "0", pace: Pace { enqueue: [0; 3], drain: [0; 3] }, settings }
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
        settings: "defaults; a runtime of one thread; the status of finished tasks is kept for a day",
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
        pace: Pace { enqueue: [1_500, 1_500, 2_000], drain: [1_000, 2_000, 2_000] },
        settings: "prefork; acks_late, ignore_result, no gossip, mingle or heartbeat",
    },
    System {
        name: "arq",
        folder: "arq",
        language: Language::Python,
        remaining: "redis.call('ZCARD', 'arq:queue')",
        pace: Pace { enqueue: [2_000, 3_000, 3_000], drain: [300, 2_000, 2_000] },
        settings: "poll every 10 ms, results not kept",
    },
    System {
        name: "taskiq",
        folder: "taskiq",
        language: Language::Python,
        // What the group has not read yet, and what it has read and not acknowledged.
        remaining: "(function() local group = redis.call('XINFO', 'GROUPS', 'taskiq')[1] \
                    local fields = {} for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end \
                    return fields.lag + fields.pending end)()",
        pace: Pace { enqueue: [3_000, 4_000, 4_000], drain: [2_000, 3_000, 3_000] },
        settings: "streams, uvloop; the stream is never trimmed, because trimming loses unread messages",
    },
    System {
        name: "apalis 0.7",
        folder: "apalis-07",
        language: Language::Rust,
        remaining: "redis.call('LLEN', 'peers:active') + redis.call('SCARD', 'peers:inflight:peers')",
        pace: Pace { enqueue: [10_000, 60_000, 60_000], drain: [5_000, 5_000, 5_000] },
        settings: "poll every 10 ms for 100 jobs; the records of finished jobs stay until they are vacuumed",
    },
    System {
        name: "apalis 1",
        folder: "apalis",
        language: Language::Rust,
        remaining: "redis.call('ZCARD', 'peers:scheduled') + redis.call('LLEN', 'peers:active') \
                    + redis.call('SCARD', 'peers:inflight:peers')",
        // Every job passes through the sorted set of scheduled ones, which a worker takes over in one go: with more than
        // about 8,000 in it, the script fails and the worker ends. So a drain is given 7,000.
        pace: Pace { enqueue: [8_000, 20_000, 30_000], drain: [7_000, 7_000, 7_000] },
        settings: "batches of 256, poll every 10 ms, no events; records stay until they are vacuumed; a worker ends when more than some 8,000 jobs wait, so it is given 7,000",
    },
];
