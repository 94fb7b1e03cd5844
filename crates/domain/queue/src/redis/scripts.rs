//! The scripts, put together from their parts. Each runs alone and atomically, and none touches more than 256 tasks.

use std::sync::LazyLock;

use trackside_redis::Script;

/// Tasks that one run of a script changes, so that it takes less than a millisecond.
pub(super) const SCRIPT_TASKS: usize = 64;

/// A script of a name and parts, each a file beside this one; `keys.lua`, `lib.lua`, `record.lua` and `final.lua` always come first.
macro_rules! script {
    ($script:ident, $name:literal: $($part:literal),+) => {
        pub(super) static $script: LazyLock<Script> =
            LazyLock::new(|| Script::new($name, concat!(include_str!("keys.lua"), "\n", include_str!("lib.lua"), "\n", include_str!("record.lua"), "\n", include_str!("final.lua"), $("\n", include_str!($part)),+)));
    };
}

/// A script in one piece, which is passed few keys and defines little.
macro_rules! fast_script {
    ($script:ident, $name:literal: $($part:literal),+) => {
        pub(super) static $script: LazyLock<Script> =
            LazyLock::new(|| Script::new($name, concat!(include_str!("fast/keys.lua"), "\n", include_str!("lib.lua"), $("\n", include_str!($part)),+)));
    };
}

fast_script!(FAST_ENQUEUE, "queue.enqueue": "fast/enqueue.lua");
fast_script!(FAST_STEP, "queue.step": "fast/guard.lua", "step/ended_attempts.lua", "step/lease.lua", "fast/complete.lua", "fast/claim.lua", "fast/step.lua");
script!(ENQUEUE, "queue.enqueue":
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua",
    "why.lua", "tell.lua", "resolve.lua", "known.lua", "first.lua", "predecessors.lua", "accept.lua", "enqueue.lua");
script!(ENQUEUE_DURABLY, "queue.enqueue_durably": "durable.lua",
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua",
    "why.lua", "tell.lua", "resolve.lua", "known.lua", "first.lua", "predecessors.lua", "accept.lua", "enqueue.lua");
// `accept.lua` comes before `history.lua`: each of them has something of its own to remember.
script!(STEP, "queue.step":
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "braked.lua", "tenants.lua", "unique.lua", "kept.lua",
    "ended.lua", "why.lua", "tell.lua", "resolve.lua", "known.lua", "first.lua", "predecessors.lua", "accept.lua",
    "history.lua", "step/attempt.lua", "step/ended_attempts.lua", "step/settle.lua", "step/next.lua",
    "step/renew.lua", "step/promote.lua", "step/reap.lua", "foreign.lua", "step/adopt.lua", "step/lease.lua",
    "step/expire.lua", "step/claim.lua", "turns.lua", "step/allow.lua", "step/draw.lua",
    "step/choose.lua", "step/oldest.lua", "step/within.lua", "step/open.lua", "step/step.lua");
pub(super) static NUDGE: LazyLock<Script> = LazyLock::new(|| Script::new("queue.nudge", include_str!("nudge.lua")));
script!(OUTBOX, "queue.outbox":
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua",
    "why.lua", "tell.lua", "resolve.lua", "outbox.lua");
script!(DELIVER, "queue.deliver":
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua",
    "why.lua", "tell.lua", "resolve.lua", "known.lua", "first.lua", "predecessors.lua", "accept.lua", "deliver.lua");
script!(STATUS, "queue.status": "status.lua");
script!(PEEK, "queue.peek": "rules.lua", "fair.lua", "turns.lua", "foreign.lua", "peek_turns.lua", "peek.lua");
script!(STATS, "queue.stats": "rules.lua", "fair.lua", "worker.lua", "stats.lua");
script!(PAUSE, "queue.pause": "pause.lua");
script!(POLICY, "queue.set_policy": "rules.lua", "fair.lua", "tenants.lua", "policy.lua");
script!(CANCEL, "queue.cancel":
    "links.lua", "rules.lua", "fair.lua", "age.lua", "ready.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua",
    "why.lua", "tell.lua", "resolve.lua", "cancel.lua");
script!(BRAKE, "queue.brake": "brake.lua");
script!(UNPARK, "queue.unpark": "rules.lua", "fair.lua", "age.lua", "ready.lua", "braked.lua", "unpark.lua");
script!(LETTERS, "queue.letters": "letters.lua");
script!(REQUEUE, "queue.requeue": "rules.lua", "fair.lua", "age.lua", "ready.lua", "requeue.lua");
script!(NOTE, "queue.note": "worker.lua", "note.lua");
script!(WORKERS, "queue.workers": "worker.lua", "workers.lua");
script!(AUDIT, "queue.audit": "audit.lua");
script!(SCAN, "queue.repair_scan": "repair/places.lua", "repair/scan.lua");
script!(RESTORE, "queue.repair_restore":
    "rules.lua", "fair.lua", "age.lua", "ready.lua", "repair/places.lua", "repair/restore.lua");
script!(GHOSTS, "queue.repair_ghosts": "repair/ghosts.lua");
script!(OLDEST, "queue.oldest": "oldest.lua");
script!(PURGE, "queue.purge":
    "links.lua", "rules.lua", "fair.lua", "tenants.lua", "unique.lua", "kept.lua", "ended.lua", "purge.lua");
