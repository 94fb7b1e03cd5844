//! The users that Redis should know, each with the commands and keys that it needs and no others.

use std::fmt::Write as _;

use clap::ValueEnum;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use trackside_core::{KeyPatterns, KeyPrefix};

/// Who connects to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// `trackside serve`.
    Api,
    /// `trackside worker`: everything but sessions.
    Worker,
    /// Whoever looks: reads, and writes nothing.
    Monitor,
    /// Celery's own workers, beat and producers, on the same server.
    Celery,
}

/// What every connection says. `CLIENT` and `CLUSTER` with the parts that change nothing, in the words that Redis 6.2 has.
const CONNECT: &str = "+auth +hello +ping +echo +reset +select +readonly +readwrite +client|id +client|setname \
                       +client|getname +client|info +cluster|slots +cluster|nodes +cluster|info +role +info +time +command";
/// What scripts are brought with, and what waits: for tasks, replicas and the disk. `WAITAOF` by its category, because a
/// server before 7.2 refuses the name of a command that it does not know.
const SCRIPTS: &str = "+evalsha +eval +script|load +script|exists +@blocking";
const LISTEN: &str = "+subscribe +unsubscribe +psubscribe +punsubscribe";
const READ: &str = "+exists +get +getrange +hexists +hget +hgetall +hlen +hmget +hrandfield +hscan +hstrlen +hvals +lindex +llen \
                    +lrange +mget +pttl +scan +smembers +strlen +ttl +type +xlen +xrange +xrevrange +zcard +zcount +zlexcount \
                    +zmscore +zrange +zrangebylex +zrangebyscore +zrevrange +zrevrangebylex +zrevrangebyscore +zrevrank \
                    +zscan +zscore +memory|usage";
const WRITE: &str = "+append +decrby +del +expire +getex +hdel +hincrby +hset +hsetnx +incr +incrby +lpop +lpush +persist \
                     +pexpire +pexpireat +publish +rpop +rpush +sadd +set +setex +setrange +unlink +xadd +zadd +zrem +zremrangebyscore";
/// Celery with kombu, RedBeat and the events of its workers.
const CELERY: &str = "+@connection +@transaction +llen +lpush +rpush +rpop +brpop +sadd +srem +smembers +sismember +hset \
                      +hget +hdel +hsetnx +zadd +zrem +zrange +zrangebyscore +zrevrangebyscore +zcount +zrank +get +mget \
                      +set +setex +incr +del +exists +expire +pexpire +pttl +time +publish +subscribe +psubscribe \
                      +unsubscribe +punsubscribe +evalsha +script|load +script|exists +info";

// === impl Role ===

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Worker, Self::Monitor, Self::Celery];

    /// The name of its user.
    pub(crate) const fn user(self) -> &'static str {
        match self {
            Self::Api => "trackside-api",
            Self::Worker => "trackside-worker",
            Self::Monitor => "trackside-monitor",
            Self::Celery => "trackside-celery",
        }
    }

    /// The variable that may hold its password.
    pub(crate) const fn password_variable(self) -> &'static str {
        match self {
            Self::Api => "TRACKSIDE_ACL_PASSWORD_API",
            Self::Worker => "TRACKSIDE_ACL_PASSWORD_WORKER",
            Self::Monitor => "TRACKSIDE_ACL_PASSWORD_MONITOR",
            Self::Celery => "TRACKSIDE_ACL_PASSWORD_CELERY",
        }
    }

    fn commands(self) -> String {
        match self {
            Self::Api | Self::Worker => [CONNECT, SCRIPTS, LISTEN, READ, WRITE].join(" "),
            Self::Monitor => [CONNECT, LISTEN, READ].join(" "),
            Self::Celery => CELERY.to_owned(),
        }
    }

    fn patterns(self, prefix: &KeyPrefix, celery_queues: &[String]) -> KeyPatterns {
        let shared = || {
            let [queue, schedule] =
                [trackside_queue::key_patterns(prefix), trackside_queue::schedule_key_patterns(prefix)];
            let [cache, control] = [trackside_cache::key_patterns(prefix), trackside_control::key_patterns(prefix)];
            let [jobs, progress] = [trackside_jobs::key_patterns(prefix), trackside_progress::key_patterns(prefix)];
            // A worker keeps the overrides of limits too.
            [queue, schedule, cache, control, jobs, progress, trackside_ratelimit::key_patterns(prefix)]
        };
        match self {
            Self::Api => KeyPatterns::all(shared().into_iter().chain([trackside_session::key_patterns(prefix)])),
            Self::Worker | Self::Monitor => KeyPatterns::all(shared()),
            Self::Celery => celery(celery_queues),
        }
    }

    /// The rules of its user: after `user <name>` in an ACL file, or after `ACL SETUSER <name>`. Only the hash of the
    /// password is in it; without one nobody can log in.
    pub(crate) fn rules(self, prefix: &KeyPrefix, celery_queues: &[String], password: Option<&str>) -> String {
        let mut rules = "reset".to_owned();
        if let Some(password) = password {
            let _ = write!(rules, " on #{}", HEXLOWER.encode(&Sha256::digest(password.as_bytes())));
        }
        let KeyPatterns { keys, channels } = self.patterns(prefix, celery_queues);
        rules.extend(keys.iter().map(|key| format!(" ~{key}")));
        rules.push_str(" resetchannels");
        rules.extend(channels.iter().map(|channel| format!(" &{channel}")));
        let _ = write!(rules, " -@all {}", self.commands());
        rules
    }
}

/// What Celery names by itself in database 0; its queues have the names that its users give them.
fn celery(queues: &[String]) -> KeyPatterns {
    const KEYS: [&str; 7] = [
        "unacked*",
        "_kombu.binding*",
        "*.celery.pidbox*",
        "celeryev.*",
        "celery-task-meta-*",
        "celery-taskset-meta-*",
        "redbeat*",
    ];
    // Who subscribes to a pattern must be allowed this very pattern: a wider one is not enough.
    const CHANNELS: [&str; 5] =
        ["/0.celery.pidbox", "/0.celeryev/worker.*", "/0.celeryev/*", "celery-task-meta-*", "celery-taskset-meta-*"];
    let own = queues.iter().map(|queue| format!("{queue}*"));
    KeyPatterns { keys: own.chain(KEYS.map(str::to_owned)).collect(), channels: CHANNELS.map(str::to_owned).into() }
}
