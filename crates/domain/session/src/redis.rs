//! The store in Redis: a hash for each session, and for each user the index of those that let somebody in.
//!
//! | call | round trips | how |
//! |---|---|---|
//! | `create` `load` `save` `rotate` `destroy` | 1 | a script each, on record and index |
//! | `destroy_all` | 1 | `destroy_all.lua`, on the index alone |
//! | `list` | 2 | `index.lua`, then the records it names in one pipeline |

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod keys;
mod record;
mod scripts;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_redis::{Command, RedisService, Reply, Script};

pub use self::keys::key_patterns;
use self::{keys::Keys, record::Answer};
use crate::{
    Authority, Creation, Error, Found, Limit, NewRecord, NextSecret, Payload, Rotation, Saved, SecretHash, SessionId,
    SessionKey, SessionStore, Summary, Turned, UserTag, WhenFull,
};

/// Keeps sessions in Redis or Valkey, where every process finds them.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use trackside_redis::RedisService;
/// use trackside_session::{Config, RedisSessionStore, SessionManager};
///
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost".parse()?))?;
/// let sessions = SessionManager::new(Arc::new(RedisSessionStore::new(redis)), Config::default())?;
/// # let _ = sessions; Ok(()) }
/// ```
pub struct RedisSessionStore {
    redis: RedisService,
    keys: Keys,
}

// === impl RedisSessionStore ===

impl RedisSessionStore {
    /// A store behind `redis`.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        let keys = Keys::new(redis.prefix().clone());
        Self { redis, keys }
    }

    /// A script about one session, and what it answers of it.
    async fn about(&self, script: &Script, key: &SessionKey, secret: &str, more: Vec<Bytes>) -> Result<Answer, Error> {
        let reply = self.run(script, self.keys.of(key), key.id, secret, more).await?;
        Answer::read(reply).map_err(|error| failed(script.name(), error.during(script.name())))
    }

    async fn run(
        &self,
        script: &Script,
        keys: Vec<String>,
        id: SessionId,
        secret: &str,
        more: Vec<Bytes>,
    ) -> Result<Reply, Error> {
        let mut args = vec![Bytes::from(id.to_string()), Bytes::from(secret.to_owned())];
        args.extend(more);
        self.redis.run(script, keys, args).await.map_err(|error| failed(script.name(), error))
    }
}

#[async_trait]
impl SessionStore for RedisSessionStore {
    async fn create(&self, new: &NewRecord, limit: Option<Limit>) -> Result<Creation, Error> {
        let what_goes = limit.map_or("oldest", |limit| match limit.when_full {
            WhenFull::OldestGoes => "oldest",
            WhenFull::Refuse => "new",
        });
        let more = vec![
            Bytes::from(new.user_id.to_string()),
            millis(new.idle),
            millis(new.absolute),
            new.context.0.clone(),
            new.device.0.clone(),
            limit.map_or(0, |limit| limit.max.get()).to_string().into(),
            what_goes.into(),
        ];
        Ok(match self.about(&scripts::CREATE, &new.key, &new.secret.to_hex(), more).await? {
            Answer::Open { record, .. } => Creation::Created(record),
            _ => Creation::Full,
        })
    }

    async fn load(&self, key: &SessionKey, secret: &SecretHash, touch_every: Duration) -> Result<Found, Error> {
        Ok(match self.about(&scripts::LOAD, key, &secret.to_hex(), vec![millis(touch_every)]).await? {
            Answer::Open { record, .. } => Found::Active(record),
            Answer::Reused => Found::Reused,
            _ => Found::Unknown,
        })
    }

    async fn save(
        &self,
        key: &SessionKey,
        secret: &SecretHash,
        expected: u64,
        context: &Payload,
    ) -> Result<Saved, Error> {
        let more = vec![expected.to_string().into(), context.0.clone()];
        Ok(match self.about(&scripts::SAVE, key, &secret.to_hex(), more).await? {
            Answer::Open { record, .. } => Saved::Written(record),
            Answer::Conflict(record) => Saved::Conflict(record),
            Answer::Reused => Saved::Reused,
            _ => Saved::Unknown,
        })
    }

    async fn rotate(&self, key: &SessionKey, secret: &SecretHash, next: &NextSecret) -> Result<Turned, Error> {
        let honoured = match next.rotation {
            Rotation::Routine => "1",
            Rotation::PrivilegeChange => "0",
        };
        let more = vec![next.hash.to_hex().into(), next.salt.to_hex().into(), millis(next.grace), honoured.into()];
        let name = scripts::ROTATE.name();
        Ok(match self.about(&scripts::ROTATE, key, &secret.to_hex(), more).await? {
            Answer::Open { record, salt: Some(salt) } => Turned::Rotated { record, salt },
            Answer::Open { salt: None, .. } => return Err(failed(name, record::invalid("no salt").during(name))),
            Answer::Superseded => Turned::Superseded,
            Answer::Reused => Turned::Reused,
            _ => Turned::Unknown,
        })
    }

    async fn destroy(&self, key: &SessionKey, authority: Authority<'_>) -> Result<bool, Error> {
        let secret = match authority {
            Authority::Secret(secret) => secret.to_hex(),
            Authority::Owner => String::new(),
        };
        let reply = self.run(&scripts::DESTROY, self.keys.of(key), key.id, &secret, Vec::new()).await?;
        reply.as_bool().map_err(|error| failed(scripts::DESTROY.name(), error.during(scripts::DESTROY.name())))
    }

    async fn destroy_all(&self, user: &UserTag, keep: Option<SessionId>) -> Result<(), Error> {
        let keep = keep.map(|id| id.to_string()).unwrap_or_default();
        let reply = self.redis.run(&scripts::DESTROY_ALL, vec![self.keys.index(user)], vec![keep.into()]).await;
        reply.map(drop).map_err(|error| failed(scripts::DESTROY_ALL.name(), error))
    }

    async fn list(&self, user: &UserTag) -> Result<Vec<Summary>, Error> {
        const OPERATION: &str = "session.list";
        let failed = |error: trackside_redis::Error| failed(OPERATION, error.during(OPERATION));
        let reply = self.redis.run(&scripts::INDEX, vec![self.keys.index(user)], Vec::new()).await.map_err(failed)?;
        let mut ids = Vec::new();
        for id in reply.into_array().map_err(failed)? {
            let id = id.into_string().map_err(failed)?;
            ids.push(id.parse().map_err(|_| failed(record::invalid("no session id")))?);
        }
        let command = |id: &SessionId| Command::new("HMGET").key(self.keys.record(user, *id)).args(record::LISTED);
        let commands = ids.iter().map(command).collect();
        let replies = self.redis.pipeline(OPERATION, commands).await.map_err(failed)?;
        let mut summaries = Vec::with_capacity(ids.len());
        for (id, reply) in ids.into_iter().zip(replies) {
            // A session that has ended between the two steps is not listed.
            summaries.extend(reply.and_then(|reply| record::summary(id, reply)).map_err(failed)?);
        }
        Ok(summaries)
    }
}

impl fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionStore").field("prefix", self.redis.prefix()).finish_non_exhaustive()
    }
}

fn millis(time: Duration) -> Bytes {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_string().into()
}

/// Puts an operation's name on a failure of the Redis service.
fn failed(operation: &'static str, error: trackside_redis::Error) -> Error {
    let kind = error.kind();
    if kind.is_store_outage() {
        return Error::Unavailable { operation, kind, retry_after: error.retry_after(), source: Box::new(error) };
    }
    Error::Store { operation, kind, source: Box::new(error) }
}
