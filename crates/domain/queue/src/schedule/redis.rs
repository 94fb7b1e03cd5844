//! Schedules on Redis or Valkey, shared by all processes.

#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod keys;
mod record;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_core::{ScheduleName, Timestamp};
use trackside_redis::{Arg, Command, RedisService, Reply, Script};

use self::keys::ScheduleKeys;
pub use self::keys::schedule_key_patterns;
use super::{ClaimedSchedules, RunLog, Schedule, ScheduleRecord, ScheduleRun, ScheduleStore, Slot};
use crate::{Error, limits, limits::check_batch};

/// A script of a name and a file beside this one, after `lib.lua`.
macro_rules! script {
    ($script:ident, $name:literal, $file:literal) => {
        static $script: LazyLock<Script> =
            LazyLock::new(|| Script::new($name, concat!(include_str!("redis/lib.lua"), "\n", include_str!($file))));
    };
}

script!(PUT, "schedule.put", "redis/put.lua");
script!(LIST, "schedule.list", "redis/list.lua");
script!(REMOVE, "schedule.remove", "redis/remove.lua");
script!(PAUSE, "schedule.pause", "redis/pause.lua");
script!(RESUME, "schedule.resume", "redis/resume.lua");
script!(CLAIM, "schedule.claim", "redis/claim.lua");
script!(ADVANCE, "schedule.advance", "redis/advance.lua");
script!(NOTE, "schedule.note", "redis/note.lua");

/// Schedules on Redis, obeying the laws of [`ScheduleStore`]. Clones share the connection.
///
/// ```no_run
/// use trackside_queue::RedisScheduleStore;
/// use trackside_redis::RedisService;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost:6379".parse()?))?;
/// let store = RedisScheduleStore::new(redis);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisScheduleStore {
    redis: RedisService,
    keys: Arc<ScheduleKeys>,
    /// Milliseconds that are added to the server's clock: 0, except where the laws are tested.
    offset_ms: Arc<AtomicU64>,
}

/// The arguments of a script.
struct Args(Vec<Bytes>);

// === impl RedisScheduleStore ===

impl RedisScheduleStore {
    /// Schedules under the prefix of `redis`, which must contain no braces.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        Self::with_offset(redis, Arc::default())
    }

    /// As [`new`](Self::new), with milliseconds that are added to the server's clock, so that tests can move it.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_clock_offset(redis: RedisService, offset_ms: Arc<AtomicU64>) -> Self {
        Self::with_offset(redis, offset_ms)
    }

    fn with_offset(redis: RedisService, offset_ms: Arc<AtomicU64>) -> Self {
        let keys = Arc::new(ScheduleKeys::new(redis.prefix()));
        Self { redis, keys, offset_ms }
    }

    fn args(&self) -> Args {
        Args(Vec::new()).and(self.offset_ms.load(Ordering::Relaxed))
    }

    async fn run(&self, script: &Script, args: Args) -> Result<Reply, Error> {
        self.redis.run(script, self.keys.all().to_vec(), args.0).await.map_err(failed(script.name()))
    }

    async fn run_bool(&self, script: &Script, args: Args) -> Result<bool, Error> {
        self.run(script, args).await?.as_bool().map_err(failed(script.name()))
    }
}

#[async_trait]
impl ScheduleStore for RedisScheduleStore {
    async fn now(&self) -> Result<Timestamp, Error> {
        let operation = "schedule.now";
        let reply = self.redis.execute(operation, Command::new("TIME")).await.and_then(Reply::into_array_of::<2>);
        let [seconds, micros] = reply.map_err(failed(operation))?;
        let (seconds, micros) =
            (seconds.as_u64().map_err(failed(operation))?, micros.as_u64().map_err(failed(operation))?);
        let offset = self.offset_ms.load(Ordering::Relaxed);
        Ok(Timestamp::from_millis(seconds * 1_000 + micros / 1_000 + offset))
    }

    async fn put(&self, schedule: &Schedule, first: Slot) -> Result<ScheduleRecord, Error> {
        let state = match schedule.paused {
            None => "",
            Some(true) => record::PAUSED,
            Some(false) => record::RUNNING,
        };
        let args = self
            .args()
            .and(schedule.name.as_str())
            .and(record::timing(schedule))
            .slot(first)
            .and(state)
            .and(record::write(schedule)?);
        let text = self.run(&PUT, args).await?.into_bytes().map_err(failed(PUT.name()))?;
        record::read(PUT.name(), &schedule.name, &text)
    }

    async fn get(&self, name: &ScheduleName) -> Result<Option<ScheduleRecord>, Error> {
        let operation = "schedule.get";
        let command = Command::new("HGET").key(self.keys.schedules()).arg(name.as_str());
        let Some(text) = self.redis.execute(operation, command).await.map_err(failed(operation))?.into_option() else {
            return Ok(None);
        };
        let text = text.into_bytes().map_err(failed(operation))?;
        record::read(operation, name, &text).map(Some)
    }

    async fn list(&self, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<ScheduleRecord>, Error> {
        check_batch(limit)?;
        let from = after.map_or_else(|| "-".to_owned(), |name| format!("({name}"));
        let pairs = self.run(&LIST, self.args().and(from).and(limit)).await?.into_pairs();
        readable(LIST.name(), pairs.map_err(failed(LIST.name()))?)
    }

    async fn remove(&self, name: &ScheduleName) -> Result<bool, Error> {
        self.run_bool(&REMOVE, self.args().and(name.as_str())).await
    }

    async fn pause(&self, name: &ScheduleName) -> Result<bool, Error> {
        self.run_bool(&PAUSE, self.args().and(name.as_str())).await
    }

    async fn resume(&self, name: &ScheduleName, revision: u64, next: Slot) -> Result<bool, Error> {
        self.run_bool(&RESUME, self.args().and(name.as_str()).and(revision).slot(next)).await
    }

    async fn claim(&self, limit: usize, hold: Duration) -> Result<ClaimedSchedules, Error> {
        check_batch(limit)?;
        let shape = failed(CLAIM.name());
        let reply = self.run(&CLAIM, self.args().and(limit).and(limits::millis(hold))).await?;
        let [now, next, pairs] = reply.into_array_of::<3>().map_err(&shape)?;
        let next = next.into_option().map(|next| next.as_u64()).transpose().map_err(&shape)?;
        Ok(ClaimedSchedules {
            schedules: readable(CLAIM.name(), pairs.into_pairs().map_err(&shape)?)?,
            now: Timestamp::from_millis(now.as_u64().map_err(&shape)?),
            next: next.map(Timestamp::from_millis),
        })
    }

    async fn advance(&self, name: &ScheduleName, revision: u64, next: Slot, log: &RunLog) -> Result<bool, Error> {
        let args = self.args().and(name.as_str()).and(revision).slot(next).and(record::json(ADVANCE.name(), log)?);
        self.run_bool(&ADVANCE, args).await
    }

    async fn note_extra_run(&self, name: &ScheduleName, run: &ScheduleRun) -> Result<(), Error> {
        let args = self.args().and(name.as_str()).and(record::write_extra_run(run)?);
        self.run(&NOTE, args).await?;
        Ok(())
    }
}

/// The schedules of a list of names and records. One that this version cannot read is another version's business: it is
/// left out, so that it does not hide the others.
fn readable(operation: &'static str, pairs: Vec<(Reply, Reply)>) -> Result<Vec<ScheduleRecord>, Error> {
    let mut records = Vec::with_capacity(pairs.len());
    for (name, text) in pairs {
        let name = name.into_string().map_err(failed(operation))?;
        let text = text.into_bytes().map_err(failed(operation))?;
        let read = name.parse().map_err(Error::from).and_then(|name| record::read(operation, &name, &text));
        match read {
            Ok(record) => records.push(record),
            Err(error) => tracing::warn!(
                schedule.name = %name,
                error = &error as &dyn std::error::Error,
                "a schedule cannot be read and is left alone"
            ),
        }
    }
    Ok(records)
}

fn failed(operation: &'static str) -> impl Fn(trackside_redis::Error) -> Error {
    move |error| Error::Store { operation, kind: error.kind(), source: Box::new(error) }
}

// === impl Args ===

impl Args {
    fn and(mut self, arg: impl Into<Arg>) -> Self {
        self.0.push(arg.into().into_bytes());
        self
    }

    fn slot(self, slot: Slot) -> Self {
        self.and(limits::due(slot.at).as_millis()).and(limits::due(slot.due).as_millis())
    }
}
