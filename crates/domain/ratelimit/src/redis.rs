//! The store in Redis: a small string for each counter, and a script for each step.
//!
//! | call | round trips | how |
//! |---|---|---|
//! | `take` `settle` `renew` | 1 | a script each, on the counters of one group |
//! | `take` of [`Algorithm::Fast`] | 1, and 1 more for a denial | three commands for each counter in one pipeline; a denial takes them back |
//! | `sync` `put_override` | 1 | a script each |
//!
//! While four calls by `window`, or by `fast`, are on their way for a group, further callers are gathered into the next ones.

mod fast;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod groups;
mod keys;
mod scripts;
#[cfg(test)]
mod tests;
mod together;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_redis::{RedisService, Reply, Script};

pub use self::keys::key_patterns;
use self::{fast::Fast, keys::Keys, together::Together};
use crate::{
    Algorithm, Answer, Ask, Counter, CounterState, Error, MAX_OVERRIDES, Mode, RateLimitStore, ReservationId,
    Settlement, Shared, Source, Target, Unit, Verdict,
};

/// What takes from counters, by its name in metrics.
const TAKE: &str = "limits.take";
/// Bytes of what is asked of a counter.
const ASK_WIDTH: usize = 27;

/// Counts in Redis or Valkey, where every process counts together.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use trackside_ratelimit::{Config, RateLimiter, RedisRateLimitStore};
/// use trackside_redis::RedisService;
///
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost".parse()?))?;
/// let limiter = RateLimiter::new(Arc::new(RedisRateLimitStore::new(redis)), Config::default())?;
/// # let _ = limiter; Ok(()) }
/// ```
pub struct RedisRateLimitStore {
    redis: RedisService,
    keys: Keys,
    together: Arc<Together>,
    fast: Arc<Fast>,
}

// === impl RedisRateLimitStore ===

impl RedisRateLimitStore {
    /// A store behind `redis`.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        let keys = Keys::new(redis.prefix().clone());
        let together = Arc::new(Together::new(redis.clone(), keys.clone()));
        let fast = Arc::new(Fast::new(redis.clone(), keys.clone()));
        Self { redis, keys, together, fast }
    }

    /// Runs a script on the counters, and the reservation where there is one.
    async fn about(
        &self,
        script: &Script,
        ask: &Ask,
        mode: &'static str,
        id: Option<ReservationId>,
        number: u64,
    ) -> Result<Reply, Error> {
        let mut keys: Vec<String> = ask.counters.iter().map(|counter| self.keys.counter(&ask.group, counter)).collect();
        keys.extend(id.map(|id| self.keys.reservation(&ask.group, id)));
        let mut args = vec![mode.into(), asked(&ask.counters)];
        if let Some(id) = id {
            args.extend([Bytes::from(id.to_string()), int(number)]);
        }
        self.redis.run(script, keys, args).await.map_err(|error| failed(script.name(), error))
    }

    async fn done(
        &self,
        script: &Script,
        ask: &Ask,
        mode: &'static str,
        id: ReservationId,
        number: u64,
    ) -> Result<bool, Error> {
        let reply = self.about(script, ask, mode, Some(id), number).await?;
        reply.as_bool().map_err(|error| failed(script.name(), error.during(script.name())))
    }
}

#[async_trait]
impl RateLimitStore for RedisRateLimitStore {
    async fn take(&self, ask: &Ask) -> Result<Answer, Error> {
        if ask.counters.first().is_some_and(|counter| counter.quota.algorithm == Algorithm::Fast) {
            return Box::pin(self.fast.take(ask)).await;
        }
        if Together::is_for(ask) {
            return self.together.take(ask).await.map_err(|error| failed(TAKE, error));
        }
        let (mode, id, kept) = match ask.mode {
            Mode::Take => ("take", None, Duration::ZERO),
            Mode::Peek => ("peek", None, Duration::ZERO),
            Mode::Reserve { id, kept } => ("reserve", Some(id), kept),
        };
        let script = scripts::take(ask);
        let reply = Box::pin(self.about(script, ask, mode, id, millis(kept))).await?;
        answer(reply, ask.counters.len()).map_err(|error| failed(script.name(), error.during(script.name())))
    }

    async fn settle(&self, ask: &Ask, id: ReservationId, settlement: Settlement) -> Result<bool, Error> {
        let (mode, used) = match settlement {
            Settlement::Used(used) => ("used", used),
            Settlement::Refund => ("refund", 0),
        };
        self.done(&scripts::SETTLE, ask, mode, id, used).await
    }

    async fn renew(&self, ask: &Ask, id: ReservationId) -> Result<bool, Error> {
        let longest = ask.counters.iter().map(|counter| counter.quota.window_ms()).max().unwrap_or(1);
        self.done(&scripts::RENEW, ask, "renew", id, longest).await
    }

    async fn sync(&self, process: &str, present_for: Duration, known: u64) -> Result<Shared, Error> {
        let name = scripts::SYNC.name();
        let args = vec![process.to_owned().into(), int(millis(present_for)), int(known)];
        let keys = vec![self.keys.processes(), self.keys.overrides()];
        let reply = self.redis.run(&scripts::SYNC, keys, args).await.map_err(|error| failed(name, error))?;
        shared(reply).map_err(|error| failed(name, error.during(name)))
    }

    async fn put_override(&self, target: &Target, limit: Option<u64>) -> Result<(), Error> {
        let name = scripts::OVERRIDE.name();
        let Target { policy, limit: of, value } = target;
        let limit = limit.map(int).unwrap_or_default();
        let args = vec![format!("{policy}\n{of}\n{value}").into(), limit, int(MAX_OVERRIDES as u64)];
        let keys = vec![self.keys.overrides()];
        let reply = self.redis.run(&scripts::OVERRIDE, keys, args).await.map_err(|error| failed(name, error))?;
        let is_done = reply.as_bool().map_err(|error| failed(name, error.during(name)))?;
        is_done.then_some(()).ok_or(Error::TooManyOverrides { max: MAX_OVERRIDES })
    }

    fn source(&self) -> Source {
        Source::Redis
    }
}

impl fmt::Debug for RedisRateLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimitStore").field("prefix", self.redis.prefix()).finish_non_exhaustive()
    }
}

/// What `take.lua` answers.
fn answer(reply: Reply, counters: usize) -> Result<Answer, trackside_redis::Error> {
    let numbers = reply.into_array()?;
    let mut states = Vec::with_capacity(counters);
    for state in numbers.get(1..).unwrap_or_default().chunks_exact(4) {
        let [wait, remaining, reset, granted] = state else { continue };
        let verdict = match wait.as_int()? {
            0 => Verdict::Room,
            ..0 => Verdict::Never,
            wait => Verdict::After(Duration::from_millis(wait.unsigned_abs())),
        };
        let (remaining, granted) = (remaining.as_u64()?, granted.as_u64()?);
        states.push(CounterState { verdict, remaining, reset: Duration::from_millis(reset.as_u64()?), granted });
    }
    let allowed = numbers.first().unwrap_or(&Reply::Nil).as_bool()?;
    Ok(Answer { allowed, counters: states })
}

/// What `sync.lua` answers.
fn shared(reply: Reply) -> Result<Shared, trackside_redis::Error> {
    let mut items = reply.into_array()?.into_iter();
    let mut next = || items.next().unwrap_or(Reply::Nil);
    let processes = u32::try_from(next().as_u64()?).unwrap_or(u32::MAX);
    let Some(version) = next().into_option() else { return Ok(Shared { processes, overrides: None }) };
    let mut overrides = Vec::new();
    while let Some(target) = next().into_option() {
        let (target, limit) = (target.into_string()?, next().as_u64()?);
        // What another version has written is left to it.
        overrides.extend(read_target(&target).map(|target| (target, limit)));
    }
    Ok(Shared { processes, overrides: Some((version.as_u64()?, overrides)) })
}

fn read_target(text: &str) -> Option<Target> {
    let mut parts = text.splitn(3, '\n');
    Some(Target {
        policy: parts.next()?.parse().ok()?,
        limit: parts.next()?.parse().ok()?,
        value: parts.next()?.to_owned(),
    })
}

/// What `head.lua` reads: all of it in one piece, because words cost the server more than what they say.
fn asked(counters: &[Counter]) -> Bytes {
    let mut asked = Vec::with_capacity(ASK_WIDTH * counters.len());
    for Counter { quota, unit, units, wish, is_shadow, .. } in counters {
        asked.extend(quota.algorithm.as_str().bytes().take(1));
        asked.extend([u8::from(*is_shadow), u8::from(*unit == Unit::Cost)]);
        for number in [quota.limit, quota.window_ms(), quota.burst()] {
            asked.extend(four(number));
        }
        asked.extend(units.to_be_bytes());
        asked.extend(four(*wish));
    }
    asked.into()
}

/// No limit and no window is longer than that.
fn four(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

fn int(number: u64) -> Bytes {
    number.to_string().into()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Puts an operation's name on a failure of the Redis service.
fn failed(operation: &'static str, error: trackside_redis::Error) -> Error {
    let kind = error.kind();
    if kind.is_store_outage() {
        return Error::Unavailable { operation, kind, retry_after: error.retry_after(), source: Box::new(error) };
    }
    Error::Store { operation, kind, source: Box::new(error) }
}
