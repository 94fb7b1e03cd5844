//! What producers, the HTTP API and operators hold: checks, policy and routing over a [`QueueStore`].

mod account;
mod batch;
mod dead;
mod dependencies;
mod lease;
mod next;
mod operate;
mod registry;
mod validate;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio_util::task::TaskTracker;
use trackside_core::{QueueName, TaskId, WorkerId};

pub(crate) use self::next::{Parent, count as count_next};
use self::registry::Registry;
pub(crate) use self::validate::{json as check_json, task as check_task};
pub use self::{
    batch::{ExtendRequest, ItemResult},
    lease::{Extension, LeaseRequest, MIN_LEASE},
    next::{Acknowledged, MAX_NEXT, NextTask},
    registry::RegistrationHook,
};
use crate::{
    Config, Durability, Enqueued, Error, Intake, MAX_BATCH, NewTask, PeekedTask, QueueStats, QueueStore, TaskState,
    TaskStatus, metrics, processor::Shared, relay::Outboxes,
};

/// The queues of a program. Cheap to clone; all clones are one.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::{QueueName, SystemClock};
/// use trackside_queue::{Config, MemoryQueueStore, NewTask, QueueManager, TaskState};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), trackside_queue::Error> {
/// let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
/// let queues = QueueManager::new(Arc::new(store), Config::default());
/// let exports: QueueName = "exports".parse()?;
///
/// let task = NewTask::new(&exports, "report.render", r#"{"month": "2026-10"}"#);
/// let added = queues.enqueue(&exports, task).await?;
/// assert_eq!(added.state, TaskState::Queued);
/// assert_eq!(queues.status(added.id).await?.map(|status| status.state), Some(TaskState::Queued));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct QueueManager {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn QueueStore>,
    config: Config,
    registry: Registry,
    /// Who settles and extends on behalf of remote workers; the fence is their proof, not this.
    worker: WorkerId,
    /// Claims for remote workers, which must be given back when the caller has gone.
    claims: TaskTracker,
    /// Processors of this process, so that a cancellation or the brake reaches their tasks without a round trip.
    processors: Mutex<Vec<Weak<Shared>>>,
    /// Queues that have something to say to others.
    outboxes: Outboxes,
}

/// What a cancellation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The task will never run.
    Cancelled,
    /// The task is running; its worker is told, at the latest when it renews its lease.
    Ordered,
    /// The task had ended before, or is a dead letter; nothing changed.
    AlreadyFinished(TaskState),
}

// === impl QueueManager ===

impl QueueManager {
    /// The queues of `store`, with the settings that the store was made with.
    #[must_use]
    pub fn new(store: Arc<dyn QueueStore>, config: Config) -> Self {
        let inner = Inner {
            store,
            config,
            registry: Registry::default(),
            worker: WorkerId::generate("manager"),
            claims: TaskTracker::new(),
            processors: Mutex::default(),
            outboxes: Outboxes::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Adds a task and answers where it is: queued, delayed, or, when its id is known already, wherever it has got to.
    ///
    /// # Errors
    /// [`Error::InvalidTask`] when a field is wrong; the store's errors. After a timeout the task may or may not have
    /// been added: repeating the call with the same id adds it once (Q-L1).
    pub async fn enqueue(&self, queue: &QueueName, task: NewTask) -> Result<Enqueued, Error> {
        self.enqueue_one_durably(queue, task, self.inner.config.durability).await
    }

    /// As [`enqueue`](Self::enqueue), and answers once the task is as safe as asked for.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue) and [`enqueue_durably`](Self::enqueue_durably).
    pub async fn enqueue_one_durably(
        &self,
        queue: &QueueName,
        task: NewTask,
        durability: Durability,
    ) -> Result<Enqueued, Error> {
        let id = task.id;
        let answers = self.enqueue_durably(queue, vec![task], durability).await.map_err(Error::of_only_item)?;
        // One task in, one answer out; a store that breaks its contract must not stop the program.
        Ok(answers.first().copied().unwrap_or(Enqueued { id, state: TaskState::Queued, replayed: false }))
    }

    /// Adds any number of tasks, up to 128 of up to 256 KiB altogether in a round trip. The answer says of each where it is, in the same
    /// order.
    ///
    /// Nothing is added when any task is invalid.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue); [`Error::Item`] names a task that is wrong. When a later round trip fails,
    /// [`Error::Partly`] says what was added before; repeating the call adds the rest.
    pub async fn enqueue_many(&self, queue: &QueueName, tasks: Vec<NewTask>) -> Result<Vec<Enqueued>, Error> {
        self.enqueue_durably(queue, tasks, self.inner.config.durability).await
    }

    /// As [`enqueue_many`](Self::enqueue_many), and answers once all tasks are as safe as asked for.
    ///
    /// # Errors
    /// [`Error::DurabilityUnavailable`] when the store cannot do that, and nothing is added;
    /// [`Error::DurabilityNotReached`] when it was not reached in time, and the tasks are in the queue all the same.
    pub async fn enqueue_durably(
        &self,
        queue: &QueueName,
        mut tasks: Vec<NewTask>,
        durability: Durability,
    ) -> Result<Vec<Enqueued>, Error> {
        for (index, task) in tasks.iter().enumerate() {
            validate::task(queue, task, &self.inner.config).map_err(|error| error.of_item(index))?;
        }
        self.meet(queue).await?;
        self.place_predecessors(queue, &mut tasks).await?;
        let (mut answers, mut rest) = (Vec::with_capacity(tasks.len()), tasks.as_mut_slice());
        let given = rest.len();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at_mut(dependencies::chunk_len(rest));
            let intake = Intake { more_to_come: others.len(), durability };
            let added = match self.enqueue_chunk(queue, chunk, intake).await {
                Ok(added) => added,
                Err(error) => return Err(error.after_items(answers, given)),
            };
            metrics::enqueued(queue, chunk, &added);
            dependencies::stand_in(chunk, &added, others);
            answers.extend(added);
            rest = others;
        }
        Ok(answers)
    }

    /// The status of a task, wherever it is. `None` when it never existed or its retention is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, id: TaskId) -> Result<Option<TaskStatus>, Error> {
        // The queues heard of so far answer nearly always; the store is asked for others only when they do not.
        let known = self.inner.registry.homes(id);
        for queue in &known {
            if let Some(status) = self.inner.store.status(queue, id).await? {
                return Ok(Some(status));
            }
        }
        for queue in self.queues().await? {
            if id.may_belong_to(&queue)
                && !known.contains(&queue)
                && let Some(status) = self.inner.store.status(&queue, id).await?
            {
                self.inner.registry.note(&queue);
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// Calls a task off. One that runs in this process is told at once, one that runs elsewhere when it renews its
    /// lease.
    ///
    /// # Errors
    /// [`Error::UnknownTask`]; the store's errors. May be repeated.
    pub async fn cancel(&self, id: TaskId, reason: &str) -> Result<CancelOutcome, Error> {
        let status = self.status(id).await?.ok_or(Error::UnknownTask(id))?;
        let state = self.inner.store.cancel(&status.queue, id, reason).await?.ok_or(Error::UnknownTask(id))?;
        // What waits for it may be in another queue.
        self.inner.outboxes.note(&status.queue);
        if state == TaskState::Active {
            for processor in self.processors() {
                processor.cancel(id);
            }
            return Ok(CancelOutcome::Ordered);
        }
        Ok(if state.is_finished() { CancelOutcome::AlreadyFinished(state) } else { CancelOutcome::Cancelled })
    }

    /// The next `limit` ready tasks (at most [`MAX_BATCH`]), without taking them.
    ///
    /// # Errors
    /// The store's.
    pub async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<PeekedTask>, Error> {
        self.inner.store.peek(queue, limit.min(MAX_BATCH)).await
    }

    /// Counts and ages of a queue; all zero for one that does not exist.
    ///
    /// # Errors
    /// The store's.
    pub async fn stats(&self, queue: &QueueName) -> Result<QueueStats, Error> {
        self.inner.store.stats(queue).await
    }

    /// The names of all queues of the store, sorted.
    ///
    /// # Errors
    /// The store's.
    pub async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.inner.store.queues().await
    }

    /// The queues that the relay of this process must look at.
    pub(crate) fn outboxes(&self) -> &Outboxes {
        &self.inner.outboxes
    }

    pub(crate) fn store(&self) -> &Arc<dyn QueueStore> {
        &self.inner.store
    }

    /// Makes a processor of this process known, for as long as it lives.
    pub(crate) fn attach(&self, processor: &Arc<Shared>) {
        let mut processors = self.inner.processors.lock().unwrap_or_else(PoisonError::into_inner);
        processors.retain(|known| known.strong_count() > 0);
        processors.push(Arc::downgrade(processor));
    }

    fn processors(&self) -> Vec<Arc<Shared>> {
        let processors = self.inner.processors.lock().unwrap_or_else(PoisonError::into_inner);
        processors.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for QueueManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueManager").field("store", &self.inner.store).field("config", &self.inner.config).finish()
    }
}
