//! Every key of a queue in Redis, and what it holds. The reference for whoever looks with `redis-cli`.
//!
//! `T` stands for `{<prefix><queue>:queue}`: the hash tag that keeps one queue in one slot of a Cluster. The list of
//! normal priority is the plain key `<prefix><queue>:queue`, which is in the same slot because its whole name is the
//! tag. A prefix must therefore contain no braces.
//!
//! | key | type | holds | expires |
//! |---|---|---|---|
//! | `<queue>:queue` | list | ready ids of normal priority: `LPUSH` enqueues, the right end is next. Elements that are no id were pushed by a plain client | empty lists vanish |
//! | `T:critical` `T:high` `T:low` | list | the other levels, alike | empty lists vanish |
//! | `T:tasks` | hash | id → record of every unfinished task, dead letters included | never: unfinished work |
//! | `T:delayed` | sorted set | id by due time | never: unfinished work |
//! | `T:lease` | sorted set | id of each active task by the end of its lease | never: unfinished work |
//! | `T:own` | hash | id → `<fence>\|<started>\|<worker>\|<user>` and the first line of the record, of each active task | never: unfinished work |
//! | `T:crash` | hash | id → leases that ended unsettled | removed with the task |
//! | `T:parked` | sorted set | `<user>\0<id>`, all with score 0, so that they are in order | never: unfinished work |
//! | `T:brake` | hash | user, or `* everyone` → `p<revision>` engaged or `r<revision>@<time>` released | a day after the last release; while a brake is on, releases that old are dropped one by one |
//! | `T:orders` | hash | id → `cancel:<reason>` for active tasks | removed with the task |
//! | `T:dead` | sorted set | id of each dead letter by its time of death | never: a dead letter waits for a decision |
//! | `T:done:<bucket>` | hash | id → final record; the bucket is the id's time in units of 65.536 s | retention after the last write |
//! | `T:kept:<bucket>` | hash | the same, of tasks that asked for a retention of their own | the longest of those retentions after the end of its task |
//! | `T:idem:<digest>` | string | `<fingerprint>\|<id>\|<until>`: the task that an idempotency key named first | `idempotency_ttl` after that |
//! | `T:wake` | list | one token at most, for those who wait | never: one byte |
//! | `T:wake:<worker>` | list | a token for the worker of that name alone, which waits for the other one as well | ten seconds |
//! | `T:waiting` | hash | id of each waiting task → predecessors that have not ended, and when it is due; `x<reason>` when it is to be called off | never: unfinished work |
//! | `T:next` | sorted set | who waits for whom, all with score 0, as `links.lua` describes it | removed with the end of the tasks |
//! | `T:outbox` | sorted set | messages to other queues that are not delivered yet, by number | empty sets vanish |
//! | `T:unique` | hash | unique key → id of the task that holds it | removed with the task |
//! | `T:tenants` | sorted set | `<tenant>\0<id>` of each active task with a tenant, all with score 0 | removed with the lease |
//! | `T:fair:critical` … `T:fair:low` | sorted set | `<tenant>\0<id>` of ready tasks that are shared out by tenant, all with score 0 | never: unfinished work |
//! | `T:turns:critical` … `T:turns:low` | sorted set | tenants with tasks in the set above (and `''` for the list) by the number of their turn, with the part of it that is used; from 10¹⁵ on by the time until which a limit holds them back | vanishes with the last task |
//! | `T:rates` | sorted set | `q` for the queue, `t<tenant>` for a tenant, by the time in microseconds until which the rate limit is used up | when all of them are free again |
//! | `T:workers` | hash | worker → since when it is there, when it was last seen, and how many places it has | a minute after the last sign of life |
//! | `T:meta` | hash | `paused`, `policy` (as `policy.rs` writes it), `fence`, counters, `braked` (engaged brakes), `gone_<level>` (ids in a list whose task was cancelled), times of the last step and grace, `kept` (1 when a task ever asked for a retention of its own), `durable` (when somebody last waited for durability), `posted` (the number of the last message to another queue), `heard:<queue>` (that of the last message from a queue), `relay` (whose turn it is to deliver, and until when) | never: the queue's own state |
//! | `trackside:alerts` | hash | `<queue> <rule>` → state, times and measure of each alert, described in `alerts/redis.rs` | a day after the last change |
//! | `trackside:queues` | set | the names of all known queues | never: the index |
//!
//! All times are milliseconds since 1970 by the server's clock. Ids are in the short form of
//! [`TaskId::to_key`](trackside_core::TaskId::to_key). Records are described in `record.rs`.

use trackside_core::{KeyPatterns, KeyPrefix, QueueName, TaskId, WorkerId};

/// The keys that every script is passed, in the order of `keys.lua`.
pub(super) const FIXED: usize = 30;
/// The places among them of those that a fast step is passed, in the order of `fast/keys.lua`.
const FAST: [usize; FAST_STEP] = [0, 1, 2, 3, 4, 13, 14, 5, 6, 7, 8, 11, 16, 17, 18, 19];
/// How many of these a fast step is passed, and how many a fast enqueue.
pub(super) const FAST_STEP: usize = 16;
pub(super) const FAST_ENQUEUE: usize = 7;

/// The keys of one queue.
#[derive(Debug)]
pub(super) struct QueueKeys {
    /// `{<prefix><queue>:queue}`.
    tag: String,
    fixed: [String; FIXED],
}

/// The keys and channels of queues and their alerts, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%*:queue", "{%*:queue}:*", "%trackside:queues", "%trackside:alerts"], &["%alerts"])
}

// === impl QueueKeys ===

impl QueueKeys {
    pub(super) fn new(prefix: &KeyPrefix, queue: &QueueName) -> Self {
        let normal = prefix.key(&format!("{queue}:queue"));
        let tag = format!("{{{normal}}}");
        let tagged = |name: &str| format!("{tag}:{name}");
        let fixed = [
            tagged("critical"),
            tagged("high"),
            normal,
            tagged("low"),
            tagged("tasks"),
            tagged("delayed"),
            tagged("lease"),
            tagged("own"),
            tagged("crash"),
            tagged("parked"),
            tagged("brake"),
            tagged("orders"),
            tagged("dead"),
            tagged("wake"),
            tagged("meta"),
            tagged("waiting"),
            tagged("next"),
            tagged("outbox"),
            tagged("unique"),
            tagged("tenants"),
            tagged("fair:critical"),
            tagged("fair:high"),
            tagged("fair:normal"),
            tagged("fair:low"),
            tagged("turns:critical"),
            tagged("turns:high"),
            tagged("turns:normal"),
            tagged("turns:low"),
            tagged("rates"),
            tagged("workers"),
        ];
        Self { tag, fixed }
    }

    /// What every script is passed.
    pub(super) const fn fixed(&self) -> &[String; FIXED] {
        &self.fixed
    }

    /// The first `count` keys that a fast script is passed.
    pub(super) fn fast(&self, count: usize) -> Vec<String> {
        FAST.iter().take(count).map(|at| self.fixed[*at].clone()).collect()
    }

    /// The list of normal priority, into which plain clients push.
    pub(super) fn normal(&self) -> &str {
        &self.fixed[2]
    }

    /// The sorted set of parked tasks.
    pub(super) fn parked(&self) -> &str {
        &self.fixed[9]
    }

    /// The hash of brakes.
    pub(super) fn brake(&self) -> &str {
        &self.fixed[10]
    }

    /// The list of the wake-up token.
    pub(super) fn wake(&self) -> &str {
        &self.fixed[13]
    }

    /// The list of the token for one worker alone.
    pub(super) fn wake_of(&self, worker: &WorkerId) -> String {
        format!("{}:{worker}", self.wake())
    }

    /// The hash of the queue's own state.
    pub(super) fn meta(&self) -> &str {
        &self.fixed[14]
    }

    /// What remembers the idempotency key with this digest.
    pub(super) fn idempotency_key(&self, digest: u128) -> String {
        format!("{}:idem:{digest:032x}", self.tag)
    }

    /// The bucket of final records that an id belongs to.
    pub(super) fn done(&self, bucket: u64) -> String {
        format!("{}:done:{bucket}", self.tag)
    }

    /// Where the final records of such a bucket are when their tasks asked for a retention of their own.
    pub(super) fn kept(&self, bucket: u64) -> String {
        format!("{}:kept:{bucket}", self.tag)
    }
}

/// The number of the bucket of final records that an id belongs to: it follows from the id alone.
pub(super) fn bucket_of(id: TaskId) -> u64 {
    id.created_at().as_millis() >> 16
}

/// The set of the names of all queues.
pub(super) fn queues(prefix: &KeyPrefix) -> String {
    prefix.key("trackside:queues")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_names_are_the_real_ones() {
        let keys = QueueKeys::new(&KeyPrefix::new("p:"), &"enhancement".parse().unwrap());
        assert_eq!(keys.normal(), "p:enhancement:queue");
        assert_eq!(keys.fixed()[0], "{p:enhancement:queue}:critical");
        assert_eq!(keys.wake(), "{p:enhancement:queue}:wake");
        assert_eq!(keys.fixed()[14], "{p:enhancement:queue}:meta");
        assert_eq!(keys.fixed()[FIXED - 1], "{p:enhancement:queue}:workers");
        assert_eq!(keys.done(7), "{p:enhancement:queue}:done:7");
        assert_eq!(keys.idempotency_key(7), format!("{{p:enhancement:queue}}:idem:{}7", "0".repeat(31)));
    }
}
