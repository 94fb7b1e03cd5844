//! The bus in Redis: state, index and channels.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod keys;
mod record;
mod subscription;

use std::{fmt, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use trackside_core::{Timestamp, UserId};
use trackside_redis::{Command, RedisService, Reply, Script};

pub use self::keys::key_patterns;
use self::{keys::Keys, record::Record};
use crate::{
    AgentStatus, BrakeScope, BrakeState, Brakes, BusFeed, Channel, ControlBus, Engaged, Error, PauseRequest, Release,
    Released, StopOutcome, StopReport,
};

macro_rules! script {
    ($name:literal, $file:literal) => {
        LazyLock::new(|| Script::new($name, concat!(include_str!("redis/lib.lua"), include_str!($file))))
    };
}

static ENGAGE: LazyLock<Script> = script!("control.engage", "redis/engage.lua");
static RELEASE: LazyLock<Script> = script!("control.release", "redis/release.lua");
static STATUS: LazyLock<Script> = script!("control.status", "redis/status.lua");
static REPORT: LazyLock<Script> = script!("control.report", "redis/report.lua");
static PROJECT: LazyLock<Script> = LazyLock::new(|| Script::new("control.project", include_str!("redis/project.lua")));

/// Keeps brakes in Redis or Valkey, where every process sees them.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use trackside_control::{AgentControl, Config, RedisControlBus};
/// use trackside_redis::RedisService;
///
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost".parse()?))?;
/// let control = AgentControl::new(Arc::new(RedisControlBus::new(redis)), Config::default());
/// # let _ = control; Ok(()) }
/// ```
pub struct RedisControlBus {
    redis: RedisService,
    keys: Keys,
}

// === impl RedisControlBus ===

impl RedisControlBus {
    /// A bus behind `redis`.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        let keys = Keys::new(redis.prefix().clone());
        Self { redis, keys }
    }

    /// The keys of a change: in a Cluster the state is in another slot and follows by itself.
    fn keys_of(&self, scope: &BrakeScope) -> Vec<String> {
        let mut keys = vec![self.keys.index()];
        if !self.redis.is_cluster() {
            keys.push(self.keys.state(scope));
        }
        keys
    }

    /// The second half of a change in a Cluster; answers the receivers.
    async fn project(&self, channel: Channel, scope: &BrakeScope, change: &Projection<'_>) -> Result<u64, Error> {
        let args: Vec<Bytes> = vec![
            change.state.to_owned().into(),
            change.revision.to_string().into(),
            change.expires_at.map_or(0, Timestamp::as_millis).to_string().into(),
            self.keys.channel(channel, scope).into(),
            change.message.to_owned().into(),
        ];
        let reply = self.redis.run(&PROJECT, vec![self.keys.state(scope)], args).await;
        reply.and_then(|reply| reply.as_u64()).map_err(failed("control.project"))
    }

    /// The server's clock and one more answer, in one round trip.
    async fn with_time(&self, operation: &'static str, command: Command) -> Result<(Timestamp, Reply), Error> {
        let replies = self.redis.pipeline(operation, vec![Command::new("TIME"), command]).await;
        let replies: Result<Vec<Reply>, _> = replies.and_then(|replies| replies.into_iter().collect());
        let [time, reply] =
            replies.and_then(|replies| Reply::Array(replies).into_array_of::<2>()).map_err(failed(operation))?;
        let [seconds, micros] = time.into_array_of::<2>().map_err(failed(operation))?;
        let (seconds, micros) =
            (seconds.as_u64().map_err(failed(operation))?, micros.as_u64().map_err(failed(operation))?);
        Ok((Timestamp::from_millis(seconds * 1_000 + micros / 1_000), reply))
    }

    /// A state that the index does not have: foreign, or left over.
    async fn look_outside(
        &self,
        scope: &BrakeScope,
        now: Timestamp,
        revision: u64,
    ) -> Result<Option<BrakeState>, Error> {
        let command = Command::new("GET").key(self.keys.state(scope));
        let text = match self.redis.execute("control.look", command).await {
            Ok(Reply::Nil) => return Ok(None),
            Ok(reply) => reply.into_string().unwrap_or_default(),
            // A key of another type is there all the same.
            Err(error) if error.code() == Some("WRONGTYPE") => String::new(),
            Err(error) => return Err(failed("control.look")(error)),
        };
        let foreign = |record: Option<Record>| BrakeState {
            scope: scope.clone(),
            since: now,
            reason: record
                .as_ref()
                .and_then(|record| record.reason.clone())
                .or_else(|| Some("paused by another program".to_owned())),
            by: record.and_then(|record| record.by),
            expires_at: None,
            revision: 0,
        };
        match Record::parse(&text) {
            // The rest of a resume, or of a pause that has expired: a Cluster's process died between its two writes.
            Some(record) if record.revision <= revision => {
                let change = Projection { state: "", revision, expires_at: None, message: "" };
                let again = crate::Message::resume(scope, revision, None, now);
                let message = serde_json::to_string(&again).unwrap_or_default();
                self.project(Channel::Resume, scope, &Projection { message: &message, ..change }).await?;
                Ok(None)
            }
            // The index has lost it.
            Some(record) => Ok(Some(foreign(Some(record)))),
            None => Ok(Some(foreign(None))),
        }
    }
}

/// What follows the change of the index in a Cluster.
struct Projection<'a> {
    /// JSON, or empty to remove it.
    state: &'a str,
    revision: u64,
    expires_at: Option<Timestamp>,
    message: &'a str,
}

#[async_trait]
impl ControlBus for RedisControlBus {
    async fn engage(&self, scope: &BrakeScope, request: &PauseRequest) -> Result<Engaged, Error> {
        let operation = "control.engage";
        let expires_in = request.expires_in.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let args: Vec<Bytes> = vec![
            scope.to_string().into(),
            request.reason.clone().unwrap_or_default().into(),
            request.by.clone().unwrap_or_default().into(),
            expires_in.to_string().into(),
            self.keys.channel(Channel::Pause, scope).into(),
        ];
        let reply = self.redis.run(&ENGAGE, self.keys_of(scope), args).await;
        let [outcome, state, receivers, message] =
            reply.and_then(Reply::into_array_of::<4>).map_err(failed(operation))?;
        let text = state.into_string().map_err(failed(operation))?;
        let state = Record::parse(&text).ok_or_else(|| invalid(operation))?.into_state(scope);
        let mut receivers = receivers.as_u64().map_err(failed(operation))?;
        let message = message.into_string().map_err(failed(operation))?;
        if !message.is_empty() {
            let change =
                Projection { state: &text, revision: state.revision, expires_at: state.expires_at, message: &message };
            receivers = self.project(Channel::Pause, scope, &change).await?;
        }
        Ok(Engaged { state, newly: outcome.as_int().map_err(failed(operation))? == 2, receivers })
    }

    async fn release(&self, scope: &BrakeScope, why: Release) -> Result<Released, Error> {
        let operation = "control.release";
        if why == Release::Foreign && self.redis.is_cluster() {
            let command = Command::new("EXISTS").key(self.keys.state(scope));
            let is_there = self.redis.execute(operation, command).await.and_then(|reply| reply.as_bool());
            if is_there.map_err(failed(operation))? {
                return Ok(Released { revision: 0, changed: false, receivers: 0 });
            }
        }
        let why = match why {
            Release::Ordered => "ordered",
            Release::Expired => "expired",
            Release::Foreign => "foreign",
        };
        let channel = self.keys.channel(Channel::Resume, scope);
        let args: Vec<Bytes> = vec![scope.to_string().into(), why.into(), channel.into()];
        let reply = self.redis.run(&RELEASE, self.keys_of(scope), args).await;
        let [changed, revision, receivers, message] =
            reply.and_then(Reply::into_array_of::<4>).map_err(failed(operation))?;
        let revision = revision.as_u64().map_err(failed(operation))?;
        let mut receivers = receivers.as_u64().map_err(failed(operation))?;
        let message = message.into_string().map_err(failed(operation))?;
        if !message.is_empty() {
            let change = Projection { state: "", revision, expires_at: None, message: &message };
            receivers = self.project(Channel::Resume, scope, &change).await?;
        }
        Ok(Released { revision, changed: changed.as_bool().map_err(failed(operation))?, receivers })
    }

    async fn look(&self, scope: &BrakeScope) -> Result<Option<BrakeState>, Error> {
        let operation = "control.look";
        let command = Command::new("HMGET").key(self.keys.index()).arg("rev").arg(Record::field(scope));
        let (now, reply) = self.with_time(operation, command).await?;
        let [revision, record] = reply.into_array_of::<2>().map_err(failed(operation))?;
        let revision = revision.into_option().map_or(Ok(0), |revision| revision.as_u64()).map_err(failed(operation))?;
        match record.into_option() {
            Some(record) => {
                let text = record.into_string().map_err(failed(operation))?;
                let state = Record::parse(&text).ok_or_else(|| invalid(operation))?.into_state(scope);
                Ok(Some(state).filter(|state| state.is_on(now)))
            }
            None => self.look_outside(scope, now, revision).await,
        }
    }

    async fn brakes(&self, known: Option<u64>) -> Result<Brakes, Error> {
        let operation = "control.brakes";
        if let Some(known) = known.filter(|known| *known > 0) {
            let command = Command::new("HMGET").key(self.keys.index()).arg("rev").arg("first");
            let (now, reply) = self.with_time(operation, command).await?;
            let [revision, first] = reply.into_array_of::<2>().map_err(failed(operation))?;
            if let (Ok(revision), Ok(first_revision)) = (revision.as_u64(), first.as_u64())
                && revision == known
            {
                return Ok(Brakes { revision, first_revision, now, states: None });
            }
        }
        // allow(HGETALL): one field for each user who is paused or was of late, read when the revision has changed.
        let (now, reply) = self.with_time(operation, Command::new("HGETALL").key(self.keys.index())).await?;
        let mut brakes = Brakes { revision: 0, first_revision: 0, now, states: None };
        let mut states = Vec::new();
        for (field, value) in reply.into_pairs().map_err(failed(operation))? {
            let field = field.into_string().map_err(failed(operation))?;
            match field.as_str() {
                "rev" => brakes.revision = value.as_u64().map_err(failed(operation))?,
                "first" => brakes.first_revision = value.as_u64().map_err(failed(operation))?,
                _ => {
                    let text = value.into_string().map_err(failed(operation))?;
                    if let (Some(scope), Some(record)) = (Record::scope(&field), Record::parse(&text)) {
                        states.push(record.into_state(&scope));
                    }
                }
            }
        }
        Ok(Brakes { states: Some(states), ..brakes })
    }

    async fn publish_status(&self, user_id: &UserId, status: &Value, ttl: Duration) -> Result<u64, Error> {
        let channel = self.keys.channel(Channel::Status, &BrakeScope::User(user_id.clone()));
        let args: Vec<Bytes> =
            vec![user_id.to_string().into(), status.to_string().into(), millis(ttl).into(), channel.into()];
        let reply = self.redis.run(&STATUS, vec![self.keys.status(user_id)], args).await;
        reply.and_then(|reply| reply.as_u64()).map_err(failed("control.status"))
    }

    async fn last_status(&self, user_id: &UserId) -> Result<Option<AgentStatus>, Error> {
        let operation = "control.last_status";
        let command = Command::new("GET").key(self.keys.status(user_id));
        let reply = self.redis.execute(operation, command).await.map_err(failed(operation))?;
        let Some(reply) = reply.into_option() else { return Ok(None) };
        let text = reply.into_string().map_err(failed(operation))?;
        serde_json::from_str(&text).map(Some).map_err(|_| invalid(operation))
    }

    async fn report(&self, user_id: &UserId, report: &StopReport, ttl: Duration) -> Result<(), Error> {
        let args: Vec<Bytes> = vec![report.task_id.clone().into(), report.outcome.as_str().into(), millis(ttl).into()];
        let reply = self.redis.run(&REPORT, vec![self.keys.reports(user_id)], args).await;
        reply.map(drop).map_err(failed("control.report"))
    }

    async fn reports(&self, user_id: &UserId) -> Result<(Vec<StopReport>, Timestamp), Error> {
        let operation = "control.reports";
        // allow(HGETALL): one field for each task of one user that was running when the brake was pulled.
        let command = Command::new("HGETALL").key(self.keys.reports(user_id));
        let (now, reply) = self.with_time(operation, command).await?;
        let mut reports = Vec::new();
        for (task_id, value) in reply.into_pairs().map_err(failed(operation))? {
            let value = value.into_string().map_err(failed(operation))?;
            let (outcome, at) = value.split_once(' ').ok_or_else(|| invalid(operation))?;
            reports.push(StopReport {
                task_id: task_id.into_string().map_err(failed(operation))?,
                outcome: StopOutcome::parse(outcome).ok_or_else(|| invalid(operation))?,
                at: at.parse().ok(),
            });
        }
        Ok((reports, now))
    }

    fn listen(&self) -> BusFeed {
        subscription::listen(self.redis.clone(), self.keys.clone())
    }
}

impl fmt::Debug for RedisControlBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisControlBus").field("prefix", self.redis.prefix()).finish_non_exhaustive()
    }
}

fn millis(time: Duration) -> String {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1).to_string()
}

/// Puts an operation's name on a failure of the Redis service.
fn failed(operation: &'static str) -> impl Fn(trackside_redis::Error) -> Error {
    move |error| Error::Bus { operation, kind: error.kind(), source: Box::new(error) }
}

fn invalid(operation: &'static str) -> Error {
    let source = "what is stored there is not of this program".into();
    Error::Bus { operation, kind: trackside_core::ErrorKind::InvalidData, source }
}
