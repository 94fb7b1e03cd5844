//! The store in Redis: one stream per operation.
//!
//! | call | round trips | how |
//! |---|---|---|
//! | `append` within an epoch | 1 | `XADD` with an explicit id and `PUBLISH` for each frame, in one pipeline. A repeated or fenced id is refused by the stream itself |
//! | `append` of a new epoch | 1 | `claim.lua`: compares the last id, then the same commands |
//! | `append` that was refused | 2 | one `XRANGE` tells a repeat from a loss |
//! | `head` | 1 | `TIME` and `XREVRANGE` back to the last keyframe |
//! | `read_after` | 1 | `XRANGE` from the id itself, which must be there |
//!
//! A fenced writer's `PUBLISH` may still go out. It is harmless: its id is not above what every listener has seen.

mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod hub;
mod keys;

use std::{fmt, num::NonZeroUsize, sync::LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_core::Timestamp;
use trackside_redis::{Command, RedisService, Reply, Script};

pub use self::keys::key_patterns;
use self::{
    frame::{Entry, payload},
    hub::Hub,
    keys::Keys,
};
use crate::{
    Append, Appended, Config, Error, EventId, Frame, Head, LiveFeed, ProgressId, ProgressStore, store::MAX_FRAMES,
};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new("progress.claim", include_str!("redis/claim.lua")));

/// Entries read when the last keyframe is further back than this writer's settings say: more than any history.
const FAR_BACK: usize = 4096;

/// Keeps operations in Redis or Valkey.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use trackside_progress::{Config, ProgressTracker, RedisProgressStore};
/// use trackside_redis::RedisService;
///
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost".parse()?))?;
/// let config = Config::default();
/// let store = RedisProgressStore::new(redis, &config);
/// let tracker = ProgressTracker::new(Arc::new(store), config);
/// # let _ = tracker; Ok(()) }
/// ```
pub struct RedisProgressStore {
    redis: RedisService,
    keys: Keys,
    history: NonZeroUsize,
    keyframe_every: NonZeroUsize,
    hub: Hub,
}

// === impl RedisProgressStore ===

impl RedisProgressStore {
    /// A store behind `redis`.
    #[must_use]
    pub fn new(redis: RedisService, config: &Config) -> Self {
        let keys = Keys::new(redis.prefix().clone());
        let hub = Hub::new(redis.clone(), keys.channel());
        Self { redis, keys, history: config.history, keyframe_every: config.keyframe_every, hub }
    }

    /// Begins an epoch: all frames or none.
    async fn claim(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error> {
        let ttl = append.ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let mut args: Vec<Bytes> = vec![
            append.writer.0.to_string().into(),
            append.previous.map(|previous| previous.to_string()).unwrap_or_default().into(),
            ttl.to_string().into(),
            self.history.to_string().into(),
            self.keys.channel().into(),
        ];
        for (previous, frame) in with_previous(append) {
            args.push(frame.id.to_string().into());
            args.push(frame.kind.as_str().into());
            args.push(Bytes::copy_from_slice(frame.data.as_bytes()));
            args.push(
                frame::stored_keyframe(frame).map(|text| Bytes::copy_from_slice(text.as_bytes())).unwrap_or_default(),
            );
            args.push(payload(id, previous, frame).into());
        }
        let reply = self.redis.run(&CLAIM, vec![self.keys.stream(id)], args).await;
        match reply.and_then(|reply| reply.as_bool()).map_err(failed("progress.claim"))? {
            true => Ok(Appended::Stored),
            false => Ok(Appended::Fenced { stored: 0 }),
        }
    }

    /// How many of the frames are there: a refused `XADD` does not tell a repeat from a loss.
    async fn count_stored(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error> {
        let (Some(first), Some(last)) = (append.frames.first(), append.frames.last()) else {
            return Ok(Appended::Stored);
        };
        // allow(XRANGE): the ids in between are those of this append.
        let command =
            Command::new("XRANGE").key(self.keys.stream(id)).arg(first.id.to_string()).arg(last.id.to_string());
        let reply = self.redis.execute("progress.verify", command).await.map_err(failed("progress.verify"))?;
        let there = frames_of(reply)?;
        let is_there = |frame: &&Frame| there.iter().any(|kept| kept.id == frame.id);
        match append.frames.iter().take_while(is_there).count() {
            stored if stored == append.frames.len() => Ok(Appended::Stored),
            stored => Ok(Appended::Fenced { stored }),
        }
    }

    async fn last_frames(&self, id: &ProgressId, count: usize) -> Result<(Timestamp, Vec<Frame>), Error> {
        let range = Command::new("XREVRANGE").key(self.keys.stream(id)).arg("+").arg("-").arg("COUNT").arg(count);
        let replies = self.redis.pipeline("progress.head", vec![Command::new("TIME"), range]).await;
        let replies: Result<Vec<Reply>, _> = replies.and_then(|replies| replies.into_iter().collect());
        let [time, range] =
            replies.and_then(|replies| Reply::Array(replies).into_array_of::<2>()).map_err(failed("progress.head"))?;
        let [seconds, micros] = time.into_array_of::<2>().map_err(failed("progress.head"))?;
        let seconds = seconds.as_u64().map_err(failed("progress.head"))?;
        let micros = micros.as_u64().map_err(failed("progress.head"))?;
        let mut frames = frames_of(range)?;
        frames.reverse();
        Ok((Timestamp::from_millis(seconds * 1_000 + micros / 1_000), frames))
    }
}

#[async_trait]
impl ProgressStore for RedisProgressStore {
    async fn head(&self, id: &ProgressId) -> Result<Head, Error> {
        let near = self.keyframe_every.get();
        let (mut now, mut frames) = self.last_frames(id, near).await?;
        let has_keyframe = frames.iter().any(|frame| frame.keyframe.is_some());
        if !has_keyframe && frames.len() >= near {
            (now, frames) = self.last_frames(id, FAR_BACK).await?;
        }
        let keyframe = frames.iter().rposition(|frame| frame.keyframe.is_some()).unwrap_or(0);
        Ok(Head { now, frames: frames.split_off(keyframe) })
    }

    async fn append(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error> {
        if append.begins_epoch() {
            return self.claim(id, append).await;
        }
        let key = self.keys.stream(id);
        let mut commands = Vec::with_capacity(append.frames.len() * 2 + 1);
        for (previous, frame) in with_previous(append) {
            let add = Command::new("XADD").key(&key).arg("NOMKSTREAM").arg("MAXLEN").arg("~").arg(self.history.get());
            commands.push(frame::fields(add.arg(frame.id.to_string()), frame));
            commands.push(Command::new("PUBLISH").arg(self.keys.channel()).arg(payload(id, previous, frame)));
        }
        if let Some(ttl) = append.ttl {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            commands.push(Command::new("PEXPIRE").key(&key).arg(millis));
        }
        let replies = self.redis.pipeline("progress.append", commands).await.map_err(failed("progress.append"))?;
        let mut all_new = true;
        for reply in replies.into_iter().step_by(2).take(append.frames.len()) {
            match reply {
                Ok(reply) => all_new &= !reply.is_nil(),
                Err(error) if error.code() == Some("ERR") => all_new = false,
                Err(error) => return Err(failed("progress.append")(error)),
            }
        }
        if all_new { Ok(Appended::Stored) } else { self.count_stored(id, append).await }
    }

    async fn read_after(&self, id: &ProgressId, after: EventId) -> Result<Option<Vec<Frame>>, Error> {
        let (key, from) = (self.keys.stream(id), after.to_string());
        let command = Command::new("XRANGE").key(key).arg(from).arg("+").arg("COUNT").arg(MAX_FRAMES + 1);
        let reply = self.redis.execute("progress.read", command).await.map_err(failed("progress.read"))?;
        let mut frames = frames_of(reply)?;
        if frames.first().is_none_or(|frame| frame.id != after) {
            return Ok(None);
        }
        frames.remove(0);
        Ok(Some(frames))
    }

    fn listen(&self, id: &ProgressId) -> LiveFeed {
        self.hub.listen(id)
    }
}

impl fmt::Debug for RedisProgressStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisProgressStore").field("prefix", self.redis.prefix()).finish_non_exhaustive()
    }
}

/// Each frame with the id before it.
fn with_previous(append: &Append) -> impl Iterator<Item = (Option<EventId>, &Frame)> {
    let earlier = append.frames.iter().map(|frame| Some(frame.id));
    std::iter::once(append.previous).chain(earlier).zip(&append.frames)
}

fn frames_of(reply: Reply) -> Result<Vec<Frame>, Error> {
    let entries = reply.into_array().map_err(failed("progress.read"))?;
    entries.into_iter().map(|entry| Entry::read(entry)?.into_frame()).collect()
}

/// Puts an operation's name on a failure of the Redis service.
fn failed(operation: &'static str) -> impl Fn(trackside_redis::Error) -> Error {
    move |error| Error::Store { operation, kind: error.kind(), source: Box::new(error) }
}
