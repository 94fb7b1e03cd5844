//! The status store and the job updates on Redis.

mod keys;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use trackside_core::{ErrorKind, TaskId, WorkerId};
use trackside_redis::{Command, PubSubEvent, RedisService, Subscription};

pub use self::keys::key_patterns;
use crate::{Error, JobRecord, JobStatusStore, JobUpdate, JobUpdateEvent, JobUpdates, MemoryJobUpdates};

/// The state of recent jobs at `job:{job_id}:status`.
#[derive(Debug, Clone)]
pub struct RedisJobStatusStore {
    redis: RedisService,
}

/// Job updates on the channel `job_updates`, and in this process even when Redis is away.
#[derive(Debug, Clone)]
pub struct RedisJobUpdates {
    redis: RedisService,
    local: MemoryJobUpdates,
    /// Marks what this process publishes: its own subscribers have that already.
    source: Arc<str>,
}

// === impl RedisJobStatusStore ===

impl RedisJobStatusStore {
    /// A store on this server.
    #[must_use]
    pub const fn new(redis: RedisService) -> Self {
        Self { redis }
    }

    fn set(&self, record: &JobRecord, ttl: Duration) -> Result<Command, Error> {
        let json = serde_json::to_vec(record).map_err(|source| invalid("job status", "job.status.put", source))?;
        let seconds = ttl.as_secs().max(1);
        Ok(Command::new("SET")
            .key(keys::status(self.redis.prefix(), record.job_id))
            .arg(json)
            .arg("EX")
            .arg(seconds.to_string()))
    }
}

#[async_trait]
impl JobStatusStore for RedisJobStatusStore {
    async fn put(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error> {
        let set = self.set(record, ttl)?;
        self.redis.execute("job.status.put", set).await.map(drop).map_err(|source| failed("job status", "put", source))
    }

    async fn put_if_absent(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error> {
        let set = self.set(record, ttl)?.arg("NX");
        let put = self.redis.execute("job.status.put", set).await;
        put.map(drop).map_err(|source| failed("job status", "put if absent", source))
    }

    async fn get(&self, id: TaskId) -> Result<Option<JobRecord>, Error> {
        let get = Command::new("GET").key(keys::status(self.redis.prefix(), id));
        let reply = self.redis.execute("job.status.get", get).await;
        let reply = reply.map_err(|source| failed("job status", "get", source))?;
        let Some(reply) = reply.into_option() else { return Ok(None) };
        let json = reply.into_bytes().map_err(|source| failed("job status", "get", source))?;
        serde_json::from_slice(&json).map(Some).map_err(|source| invalid("job status", "get", source))
    }
}

// === impl RedisJobUpdates ===

impl RedisJobUpdates {
    /// Updates on this server.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        Self { redis, local: MemoryJobUpdates::default(), source: WorkerId::generate("jobs").as_str().into() }
    }
}

#[async_trait]
impl JobUpdates for RedisJobUpdates {
    async fn publish(&self, mut update: JobUpdate) -> Result<(), Error> {
        update.source = Some(self.source.to_string());
        let json = serde_json::to_vec(&update).map_err(|source| invalid("job updates", "publish", source))?;
        self.local.send(update);
        let published = self.redis.publish(keys::updates(self.redis.prefix()), json).await;
        published.map(drop).map_err(|source| failed("job updates", "publish", source))
    }

    fn subscribe(&self) -> BoxStream<'static, JobUpdateEvent> {
        let local = self.local.subscribe();
        match self.redis.subscribe(vec![keys::updates(self.redis.prefix())]) {
            Ok(subscription) => stream::select(local, others(subscription, Arc::clone(&self.source))).boxed(),
            Err(error) => {
                tracing::warn!(%error, "job updates of other processes are not seen");
                stream::iter([JobUpdateEvent::Gap]).chain(local).boxed()
            }
        }
    }
}

/// What other processes publish.
fn others(subscription: Subscription, own: Arc<str>) -> impl futures::Stream<Item = JobUpdateEvent> + Send {
    stream::unfold((subscription, own), |(mut subscription, own)| async move {
        loop {
            let event = match subscription.next().await? {
                PubSubEvent::Gap { .. } => JobUpdateEvent::Gap,
                PubSubEvent::Message { payload, .. } => match serde_json::from_slice::<JobUpdate>(&payload) {
                    Ok(update) if update.source.as_deref() == Some(&*own) => continue,
                    Ok(update) => JobUpdateEvent::Update(Arc::new(update)),
                    Err(error) => {
                        tracing::debug!(%error, "a message on job_updates is not ours");
                        continue;
                    }
                },
            };
            return Some((event, (subscription, own)));
        }
    })
}

fn failed(store: &'static str, operation: &'static str, source: trackside_redis::Error) -> Error {
    Error::Store { store, operation, kind: source.kind(), source: Box::new(source) }
}

fn invalid(store: &'static str, operation: &'static str, source: serde_json::Error) -> Error {
    Error::Store { store, operation, kind: ErrorKind::InvalidData, source: Box::new(source) }
}
