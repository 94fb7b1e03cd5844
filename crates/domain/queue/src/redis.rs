//! The store on Redis or Valkey: durable as the server is, shared by all processes.

mod attributes;
mod bell;
mod brakes;
mod call;
mod compress;
mod connections;
mod durable;
mod fast;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gather;
mod index;
mod intake;
mod keys;
mod letters;
mod next;
mod outbox;
mod policy;
mod record;
mod repair;
mod scripts;
mod step;
mod views;
mod wait;
mod workers;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use trackside_core::{QueueName, TaskId};
use trackside_redis::{Command, RedisService, Reply};

pub use self::keys::key_patterns;
use self::{
    bell::Bell,
    call::{Call, failed},
    connections::Connections,
    durable::Durable,
    fast::Usual,
    gather::Gathering,
    intake::Answer,
    keys::QueueKeys,
    workers::Noted,
};
use crate::{
    BrakeChange, BrakePage, BrakeScope, Config, DeadCursor, DeadLetter, DeadRef, Durability, Enqueued, Error, Intake,
    NewTask, OutboxMessage, OutboxPage, OutboxRequest, PeekedTask, QueueAudit, QueuePolicy, QueueStats, QueueStore,
    RepairCursor, RepairPage, Step, StepReply, TaskState, TaskStatus, WorkerStatus, limits, limits::check_batch,
};

/// Queues on Redis, obeying the laws of [`QueueStore`]. Clones share connections and wake-ups.
///
/// Every operation is one script: atomic, on one slot of a Cluster, by the server's clock, and at most 256 tasks long.
/// A step needs a second one when it meets an element that a plain client pushed, or a cancelled task whose worker died.
///
/// ```no_run
/// use trackside_queue::{Config, RedisQueueStore};
/// use trackside_redis::RedisService;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost:6379".parse()?))?;
/// let store = RedisQueueStore::new(redis, Config::default());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisQueueStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    redis: RedisService,
    config: Config,
    /// Milliseconds that scripts add to the server's clock: 0, except where the laws are tested.
    offset_ms: Arc<AtomicU64>,
    /// For how many calls a queue is taken for unusual once it was: few, where the laws are tested.
    unusual_calls: u32,
    durable: Durable,
    /// The connections of steps that wait.
    waits: Connections,
    lines: Mutex<HashMap<QueueName, Arc<Line>>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    _ends: DropGuard,
}

/// What this process remembers of a queue.
#[derive(Debug)]
struct Line {
    name: QueueName,
    keys: Arc<QueueKeys>,
    bell: Arc<Bell>,
    /// For how many steps elements of plain clients are expected.
    foreign_steps: AtomicU32,
    gathering: Gathering,
    enqueues: Usual,
    steps: Usual,
    /// The server refuses the wait of a step that waits there.
    cannot_wait: AtomicBool,
    noted: Noted,
}

/// Calls that a new policy takes at most: tenants that it holds back again are not let go for ever.
const MAX_LETTING_GO: usize = 10_000;

// === impl RedisQueueStore ===

impl RedisQueueStore {
    /// Queues under the prefix of `redis`, which must contain no braces.
    #[must_use]
    pub fn new(redis: RedisService, config: Config) -> Self {
        Self::with_offset(redis, config, Arc::default(), fast::UNUSUAL_CALLS)
    }

    /// As [`new`](Self::new), with milliseconds that are added to the server's clock, so that tests can move it.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_clock_offset(redis: RedisService, config: Config, offset_ms: Arc<AtomicU64>) -> Self {
        Self::with_offset(redis, config, offset_ms, 1)
    }

    /// Ends the waits for work and closes their connections. Dropping the last clone does so too, in the background.
    pub async fn shutdown(&self) {
        self.inner.shutdown.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    fn with_offset(redis: RedisService, config: Config, offset_ms: Arc<AtomicU64>, unusual_calls: u32) -> Self {
        let shutdown = CancellationToken::new();
        let inner = Inner {
            redis,
            config,
            offset_ms,
            unusual_calls,
            durable: Durable::new(),
            waits: Connections::new(wait::OPERATION),
            lines: Mutex::default(),
            tasks: TaskTracker::new(),
            _ends: shutdown.clone().drop_guard(),
            shutdown,
        };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl QueueStore for RedisQueueStore {
    async fn register(&self, queue: &QueueName) -> Result<bool, Error> {
        self.inner.register(queue).await
    }

    async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.inner.queues().await
    }

    async fn enqueue_with(&self, queue: &QueueName, tasks: &[NewTask], intake: Intake) -> Result<Vec<Enqueued>, Error> {
        limits::check_tasks(tasks)?;
        let line = self.inner.line(queue);
        if intake.durability == Durability::None
            && Inner::is_usual(&line, tasks)
            && self.inner.enqueue_gathered(&line, tasks).await?
        {
            let queued = |task: &NewTask| Enqueued { id: task.id, state: TaskState::Queued, replayed: false };
            return Ok(tasks.iter().map(queued).collect());
        }
        let (mut answers, is_reached) = self.inner.take_in(&line, tasks.to_vec(), intake).await?;
        let mut enqueued = Vec::with_capacity(answers.len());
        for answer in answers.drain(..) {
            let ended = match answer {
                Answer::Known(_) => None,
                // Whose bucket was not known to the call.
                Answer::Ended(id) => self.status(queue, id).await?.map(|status| status.state),
            };
            enqueued.push(answer.with(ended));
        }
        if !is_reached {
            return Err(Error::DurabilityNotReached { durability: intake.durability, added: enqueued });
        }
        Ok(enqueued)
    }

    async fn step(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error> {
        for given in [step.settle.len(), step.renew.len(), step.credits] {
            check_batch(given)?;
        }
        Box::pin(self.inner.step(&self.inner.line(queue), step)).await
    }

    async fn outbox(&self, queue: &QueueName, request: &OutboxRequest) -> Result<OutboxPage, Error> {
        check_batch(request.delivered.len())?;
        Box::pin(self.inner.outbox(&self.inner.line(queue), request)).await
    }

    async fn deliver(&self, queue: &QueueName, from: &QueueName, messages: &[OutboxMessage]) -> Result<bool, Error> {
        check_batch(messages.len())?;
        self.inner.deliver(&self.inner.line(queue), from, messages).await
    }

    async fn wait_for_work(&self, queue: &QueueName, timeout: Duration) -> Result<(), Error> {
        let (inner, line) = (&self.inner, self.inner.line(queue));
        line.bell.start(&inner.redis, &line.keys, inner.config.idle_wait, &inner.tasks, &inner.shutdown)?;
        line.bell.wait(timeout).await;
        Ok(())
    }

    async fn step_when_ready(
        &self,
        queue: &QueueName,
        step: Step,
        patience: Duration,
        hurry: &CancellationToken,
    ) -> Result<Option<StepReply>, Error> {
        Box::pin(self.inner.step_when_ready(&self.inner.line(queue), &step, patience, hurry)).await
    }

    async fn status(&self, queue: &QueueName, id: TaskId) -> Result<Option<TaskStatus>, Error> {
        let line = self.inner.line(queue);
        let call = self.inner.call(&line).id(id).only_bucket(id);
        views::status(call.run(&self.inner, &scripts::STATUS).await?, queue, id)
    }

    async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<PeekedTask>, Error> {
        check_batch(limit)?;
        let line = self.inner.line(queue);
        views::peeked(self.inner.call(&line).arg(limit).run(&self.inner, &scripts::PEEK).await?)
    }

    async fn stats(&self, queue: &QueueName) -> Result<QueueStats, Error> {
        let line = self.inner.line(queue);
        views::stats(self.inner.call(&line).run(&self.inner, &scripts::STATS).await?)
    }

    async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error> {
        let line = self.inner.line(queue);
        self.inner.call(&line).arg(u8::from(paused)).run(&self.inner, &scripts::PAUSE).await?;
        line.bell.set_paused(paused);
        Ok(())
    }

    async fn set_policy(&self, queue: &QueueName, policy: &QueuePolicy) -> Result<(), Error> {
        policy.check()?;
        let line = self.inner.line(queue);
        // Each call lets some of the tenants go on that the policy before held back.
        for _ in 0..MAX_LETTING_GO {
            let call = self.inner.call(&line).arg(policy::write(policy));
            if views::count(&call.run(&self.inner, &scripts::POLICY).await?, &scripts::POLICY)? == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn policy(&self, queue: &QueueName) -> Result<QueuePolicy, Error> {
        let line = self.inner.line(queue);
        let command = Command::new("HGET").key(line.keys.meta()).arg("policy");
        let text = self.inner.redis.execute("queue.policy", command).await;
        let text = text.and_then(|reply| reply.into_option().map(Reply::into_string).transpose());
        let text = text.map_err(|error| failed("queue.policy", error))?;
        Ok(text.as_deref().map(policy::read).unwrap_or_default())
    }

    async fn cancel(&self, queue: &QueueName, id: TaskId, reason: &str) -> Result<Option<TaskState>, Error> {
        self.inner.cancel(&self.inner.line(queue), id, reason).await
    }

    async fn set_brake(&self, queue: &QueueName, change: &BrakeChange) -> Result<(), Error> {
        self.inner.set_brake(&self.inner.line(queue), change).await
    }

    async fn unpark(&self, queue: &QueueName, scope: &BrakeScope, limit: usize) -> Result<usize, Error> {
        check_batch(limit)?;
        self.inner.unpark(&self.inner.line(queue), scope, limit).await
    }

    async fn braked(&self, queue: &QueueName, cursor: u64) -> Result<BrakePage, Error> {
        self.inner.braked(&self.inner.line(queue), cursor).await
    }

    async fn parked(&self, queue: &QueueName, scope: &BrakeScope) -> Result<u64, Error> {
        self.inner.parked(&self.inner.line(queue), scope).await
    }

    async fn dead_letters(
        &self,
        queue: &QueueName,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        check_batch(limit)?;
        let line = self.inner.line(queue);
        let call = self.inner.call(&line).arg(limit);
        let call = match cursor {
            Some(cursor) => call.arg(cursor.died_at.as_millis()).id(cursor.id),
            None => call.arg("").arg(""),
        };
        views::letters(call.run(&self.inner, &scripts::LETTERS).await?, queue)
    }

    async fn requeue_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        check_batch(letters.len())?;
        self.inner.requeue(&self.inner.line(queue), letters).await
    }

    async fn purge_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        check_batch(letters.len())?;
        self.inner.purge(&self.inner.line(queue), letters).await
    }

    async fn overdue_dead(&self, queue: &QueueName, limit: usize) -> Result<Vec<DeadCursor>, Error> {
        check_batch(limit)?;
        let (line, config) = (self.inner.line(queue), &self.inner.config);
        let call =
            self.inner.call(&line).arg(limits::millis(config.dead_max_age)).arg(config.dead_max_count).arg(limit);
        views::deaths(call.run(&self.inner, &scripts::OLDEST).await?)
    }

    async fn workers(&self, queue: &QueueName) -> Result<Vec<WorkerStatus>, Error> {
        self.inner.workers(&self.inner.line(queue)).await
    }

    async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error> {
        let line = self.inner.line(queue);
        views::audit(self.inner.call(&line).run(&self.inner, &scripts::AUDIT).await?)
    }

    async fn repair(&self, queue: &QueueName, cursor: Option<RepairCursor>) -> Result<RepairPage, Error> {
        Box::pin(self.inner.repair(&self.inner.line(queue), cursor.unwrap_or_default())).await
    }
}

// === impl Inner ===

impl Inner {
    fn line(&self, queue: &QueueName) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(queue) {
            return Arc::clone(line);
        }
        let line = Arc::new(Line {
            name: queue.clone(),
            keys: Arc::new(QueueKeys::new(self.redis.prefix(), queue)),
            bell: Arc::new(Bell::new()),
            foreign_steps: AtomicU32::new(0),
            gathering: Gathering::default(),
            enqueues: Usual::new(self.unusual_calls),
            steps: Usual::new(self.unusual_calls),
            cannot_wait: AtomicBool::new(false),
            noted: Noted::default(),
        });
        lines.insert(queue.clone(), Arc::clone(&line));
        line
    }

    fn call<'k>(&self, line: &'k Line) -> Call<'k> {
        Call::new(&line.keys, &self.config, self.offset_ms.load(Ordering::Relaxed))
    }

    async fn cancel(&self, line: &Line, id: TaskId, reason: &str) -> Result<Option<TaskState>, Error> {
        let call = self.call(line).id(id).arg(limits::reason(reason)).only_bucket(id);
        views::state(call.run(self, &scripts::CANCEL).await?, &scripts::CANCEL)
    }
}
