//! The store in Redis: a plain value, and beside it a record and, while it is loaded, a lease.
//!
//! | call | round trips | how |
//! |---|---|---|
//! | `get` | 1 | `MGET` of value and record; `read.lua` when the server's clock is not known (`clock.rs`) |
//! | `get` of what may be stale | 2 | `read.lua` after it |
//! | `lookup` | 1 | `lookup.lua`: reads, and leases when nothing fresh is there |
//! | `put` `delete` `release` | 1 | a script each, which also publishes the change |
//! | `renew` | 1 | `renew.lua` |
//! | `tag_versions` | 1 | `GETEX` for each tag, side by side: tags are in slots of their own |
//! | `tag_versions` of a new tag | 2 | `tag.lua` after it |
//! | `invalidate_tag` | 1 | `tag.lua` |
//! | `mark` | 1 | `PUBLISH` |

mod clock;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod keys;
mod message;
mod numbers;
mod record;
mod scripts;
mod slot;
mod subscription;
mod sweep;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use tokio::time::Instant;
use trackside_redis::{Arg, Command, RedisService, Reply, Script};

pub use self::keys::key_patterns;
use self::{
    clock::Clocks,
    keys::Keys,
    message::{Announcement, Source},
    record::Plain,
};
use crate::{
    CacheFeed, CacheStore, Claim, Condition, Config, EntryKey, Error, Found, Lookup, NewEntry, StoredEntry,
    SweepCursor, SweepPage, TOMBSTONE, Tag, Writer, Written,
};

/// How long the version of a tag is remembered after it was last asked for.
const TAG_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Keeps entries in Redis or Valkey.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use trackside_cache::{CacheManager, Config, RedisCacheStore};
/// use trackside_redis::RedisService;
///
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost".parse()?))?;
/// let config = Config::default();
/// let store = RedisCacheStore::new(redis, &config);
/// let cache = CacheManager::new(Arc::new(store), config);
/// # let _ = cache; Ok(()) }
/// ```
pub struct RedisCacheStore {
    redis: RedisService,
    keys: Keys,
    source: Arc<Source>,
    clocks: Clocks,
    compress_above: usize,
}

/// The arguments of a script in the making.
struct Args(Vec<Bytes>);

// === impl RedisCacheStore ===

impl RedisCacheStore {
    /// A store behind `redis`.
    #[must_use]
    pub fn new(redis: RedisService, config: &Config) -> Self {
        let (keys, clocks) = (Keys::new(redis.prefix().clone()), Clocks::new(redis.is_cluster()));
        Self { redis, keys, source: Arc::new(Source::random()), clocks, compress_above: config.compress_above }
    }

    async fn run(&self, script: &Script, keys: Vec<String>, args: Args) -> Result<Reply, Error> {
        self.redis.run(script, keys, args.0).await.map_err(|error| failed(script.name(), error))
    }

    /// Reads with the cheapest command that there is for it; `now` is the time on the server at the latest.
    async fn read_plainly(&self, names: &[String; 2], now: i64) -> Result<Plain, Error> {
        const OPERATION: &str = "cache.get";
        let reply = self.redis.execute(OPERATION, Command::new("MGET").key(&names[0]).key(&names[1])).await;
        let [value, record] = reply.and_then(Reply::into_array_of::<2>).map_err(|error| failed(OPERATION, error))?;
        record::plain(OPERATION, value, record, now)
    }

    /// Reads, and learns what time it is on the server.
    async fn read_exactly(&self, names: [String; 2]) -> Result<Option<StoredEntry>, Error> {
        let (name, asked_at) = (scripts::READ.name(), Instant::now());
        let place = names[0].clone();
        let reply = self.run(&scripts::READ, names.to_vec(), Args::new()).await?;
        let parts = || -> Result<_, trackside_redis::Error> {
            let [value, record, left, time] = reply.into_array_of::<4>()?;
            Ok((value, record, left.as_int()?, time.as_int()?))
        };
        let (value, record, left, time) = parts().map_err(|error| failed(name, error))?;
        self.clocks.told(&place, time, asked_at);
        record::entry(name, value, record, left)
    }

    async fn known_tag_version(&self, tag: &Tag) -> Result<u64, Error> {
        const OPERATION: &str = "cache.tag_version";
        let known = Command::new("GETEX").key(self.keys.tag(tag)).arg("PX").arg(millis(TAG_TTL));
        let reply = self.redis.execute(OPERATION, known).await.map_err(|error| failed(OPERATION, error))?;
        match reply.into_option() {
            Some(version) => version.as_u64().map_err(|error| failed(OPERATION, error)),
            None => self.tag_version(tag, Args::new().arg("keep").millis(TAG_TTL)).await,
        }
    }

    async fn tag_version(&self, tag: &Tag, args: Args) -> Result<u64, Error> {
        let reply = self.run(&scripts::TAG, vec![self.keys.tag(tag)], args).await?;
        reply.as_u64().map_err(|error| failed(scripts::TAG.name(), error))
    }
}

#[async_trait]
impl CacheStore for RedisCacheStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<StoredEntry>, Error> {
        let names = [self.keys.value(key), self.keys.record(key)];
        if let Some(now) = self.clocks.now(&names[0])
            && let Plain::Sure(entry) = self.read_plainly(&names, now).await?
        {
            return Ok(entry);
        }
        self.read_exactly(names).await
    }

    async fn lookup(&self, key: &EntryKey, lookup: &Lookup) -> Result<Found, Error> {
        let stamp = lookup.stamp.as_ref().map(ToString::to_string).unwrap_or_default();
        let args = Args::new().writer(lookup.writer).millis(lookup.lease).arg(stamp).arg(lookup.after);
        let name = scripts::LOOKUP.name();
        let reply = self.run(&scripts::LOOKUP, self.keys.of(key), args).await?;
        let parts = || -> Result<_, trackside_redis::Error> {
            let [value, record, left, claim, lease] = reply.into_array_of::<5>()?;
            Ok((value, record, left.as_int()?, claim.as_int()?, lease.as_int()?))
        };
        let (value, record, left, claim, lease) = parts().map_err(|error| failed(name, error))?;
        let claim = match claim {
            0 => Claim::Fresh,
            1 => Claim::Granted,
            // A lease whose time is over by now has nothing left.
            _ => Claim::Busy(Duration::from_millis(u64::try_from(lease).unwrap_or_default())),
        };
        Ok(Found { entry: record::entry(name, value, record, left)?, claim })
    }

    async fn put(&self, key: &EntryKey, entry: &NewEntry, when: Condition, writer: Writer) -> Result<Written, Error> {
        let said = self.source.changed(key);
        let (condition, expected) = condition_words(when);
        let args = Args::new()
            .arg(condition)
            .arg(expected)
            .writer(writer)
            .arg(record::kind(entry))
            .millis(entry.ttl)
            .arg(millis(entry.stale_for))
            .arg(entry.stamp.to_string())
            .arg(entry.content_type.as_deref().unwrap_or("-"))
            .arg(record::stored_value(entry, self.compress_above))
            .announcement(&self.keys.channel(), &said);
        written(&scripts::PUT, self.run(&scripts::PUT, self.keys.of(key), args).await?)
    }

    async fn delete(&self, key: &EntryKey, when: Condition, writer: Writer) -> Result<Written, Error> {
        let said = self.source.changed(key);
        let (condition, expected) = condition_words(when);
        let args = Args::new()
            .arg(condition)
            .arg(expected)
            .writer(writer)
            .millis(TOMBSTONE)
            .announcement(&self.keys.channel(), &said);
        written(&scripts::DELETE, self.run(&scripts::DELETE, self.keys.of(key), args).await?)
    }

    async fn renew(&self, key: &EntryKey, lease: Writer, time: Duration) -> Result<bool, Error> {
        let args = Args::new().writer(lease).millis(time);
        let reply = self.run(&scripts::RENEW, self.keys.of(key), args).await?;
        reply.as_bool().map_err(|error| failed(scripts::RENEW.name(), error))
    }

    async fn release(&self, key: &EntryKey, lease: Writer, throttle: Duration) -> Result<(), Error> {
        let said = self.source.released(key);
        let message = [said.head, said.tail].concat();
        let args =
            Args::new().writer(lease).arg(millis(throttle)).arg(self.keys.channel()).arg(message).arg(said.nothing);
        self.run(&scripts::RELEASE, self.keys.of(key), args).await.map(drop)
    }

    async fn tag_versions(&self, tags: &[Tag]) -> Result<Vec<u64>, Error> {
        try_join_all(tags.iter().map(|tag| self.known_tag_version(tag))).await
    }

    async fn invalidate_tag(&self, tag: &Tag) -> Result<u64, Error> {
        let said = self.source.tag(tag);
        let args = Args::new().arg("renew").millis(TAG_TTL).announcement(&self.keys.channel(), &said);
        self.tag_version(tag, args).await
    }

    async fn mark(&self, mark: u64) -> Result<(), Error> {
        const OPERATION: &str = "cache.mark";
        let message = Command::new("PUBLISH").arg(self.keys.channel()).arg(self.source.mark(mark));
        self.redis.execute(OPERATION, message).await.map(drop).map_err(|error| failed(OPERATION, error))
    }

    fn listen(&self) -> CacheFeed {
        subscription::listen(self.redis.clone(), self.keys.channel(), Arc::clone(&self.source))
    }

    async fn sweep(&self, cursor: SweepCursor, limit: usize, ttl: Duration) -> Result<SweepPage, Error> {
        self.sweep_page(cursor, limit, ttl).await
    }
}

impl fmt::Debug for RedisCacheStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCacheStore").field("prefix", self.redis.prefix()).finish_non_exhaustive()
    }
}

// === impl Args ===

impl Args {
    fn new() -> Self {
        Self(Vec::with_capacity(13))
    }

    fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.0.push(arg.into().into_bytes());
        self
    }

    fn writer(self, writer: Writer) -> Self {
        self.arg(format!("{:x}", writer.0))
    }

    /// A time of at least a millisecond, as Redis wants it.
    fn millis(self, time: Duration) -> Self {
        self.arg(millis(time).max(1))
    }

    fn announcement(self, channel: &str, said: &Announcement) -> Self {
        self.arg(channel).arg(&said.head).arg(&said.tail).arg(&said.nothing)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn condition_words(condition: Condition) -> (&'static str, u64) {
    match condition {
        Condition::Always => ("always", 0),
        Condition::Absent => ("absent", 0),
        Condition::Version(version) => ("version", version),
        Condition::AtMost(version) => ("most", version),
        Condition::Leased => ("leased", 0),
    }
}

fn written(script: &Script, reply: Reply) -> Result<Written, Error> {
    let parts = || -> Result<_, trackside_redis::Error> {
        let [done, version, rest] = reply.into_array_of::<3>()?;
        Ok((done.as_bool()?, version.as_u64()?, rest.into_string()?))
    };
    let (done, version, rest) = parts().map_err(|error| failed(script.name(), error))?;
    if done {
        return Ok(Written::Done { version, existed: rest != "0" });
    }
    let stamp = rest.parse().map_err(|_| record::invalid(script.name(), "a stamp is none"))?;
    Ok(Written::Refused { version, stamp })
}

/// Puts an operation's name on a failure of the Redis service.
fn failed(operation: &'static str, error: trackside_redis::Error) -> Error {
    Error::Store { operation, kind: error.kind(), source: Arc::new(error) }
}
