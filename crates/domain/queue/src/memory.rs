//! The store inside the process: nothing to install, and nothing that survives a restart.

mod audit;
mod intake;
mod letters;
mod links;
mod next;
mod orders;
mod outbox;
mod queue;
mod step;
mod turns;
mod view;
mod within;
mod workers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;
use trackside_core::{Clock, QueueName, TaskId, Timestamp};

use self::queue::Queue;
use crate::{
    BrakeChange, BrakePage, BrakeScope, Config, DeadCursor, DeadLetter, DeadRef, Durability, Enqueued, Error, Intake,
    NewTask, OutboxMessage, OutboxPage, OutboxRequest, PeekedTask, QueueAudit, QueuePolicy, QueueStats, QueueStore,
    RepairCursor, RepairPage, Step, StepReply, TaskState, TaskStatus, WorkerStatus,
    limits::{check_batch, check_tasks},
};

/// Queues in memory, obeying the laws of [`QueueStore`]. Clones share them.
///
/// Each queue has a lock of its own, held for one operation and never across an `await`.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::{QueueName, SystemClock, TaskId};
/// use trackside_queue::{Config, MemoryQueueStore, NewTask, QueueStore, TaskState};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
/// let queue: QueueName = "exports".parse()?;
/// let task = NewTask {
///     id: TaskId::generate(&queue),
///     kind: "export.pdf".into(),
///     payload: r#"{"document": 7}"#.into(),
///     options: Default::default(),
/// };
/// assert_eq!(store.enqueue(&queue, &[task]).await?[0].state, TaskState::Queued);
/// assert_eq!(store.stats(&queue).await?.ready, [0, 0, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryQueueStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    queues: Mutex<BTreeMap<QueueName, Arc<Cell>>>,
}

/// One queue, its lock and its bell.
#[derive(Debug)]
struct Cell {
    state: Mutex<State>,
    work: Notify,
}

#[derive(Debug)]
struct State {
    /// Whether it is listed: a queue may be used without.
    registered: bool,
    queue: Queue,
}

// === impl MemoryQueueStore ===

impl MemoryQueueStore {
    /// An empty store whose leases, delays and retention follow `clock`.
    #[must_use]
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { config, clock, queues: Mutex::default() }) }
    }

    fn cell(&self, name: &QueueName) -> Arc<Cell> {
        let mut queues = self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match queues.get(name) {
            Some(cell) => cell.clone(),
            None => queues.entry(name.clone()).or_insert_with(|| Arc::new(Cell::new(name.clone()))).clone(),
        }
    }

    fn read<T>(&self, queue: &QueueName, ask: impl FnOnce(&Queue, Timestamp) -> T) -> T {
        self.cell(queue).with(|state| ask(&state.queue, self.inner.clock.now()))
    }

    /// Changes a queue, then rings for those who wait if there is work or something to wait for.
    fn change<T>(&self, queue: &QueueName, change: impl FnOnce(&mut Queue, Timestamp, &Config) -> T) -> T {
        let cell = self.cell(queue);
        // The clock is read under the lock, so that the times of a queue never run backwards.
        let (answer, ring) = cell.with(|state| {
            let answer = change(&mut state.queue, self.inner.clock.now(), &self.inner.config);
            (answer, state.queue.has_work(self.inner.clock.now()))
        });
        if ring {
            cell.work.notify_waiters();
        }
        answer
    }
}

#[async_trait]
impl QueueStore for MemoryQueueStore {
    async fn register(&self, queue: &QueueName) -> Result<bool, Error> {
        Ok(self.cell(queue).with(|state| !std::mem::replace(&mut state.registered, true)))
    }

    async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        let queues = self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(queues
            .iter()
            .filter(|(_, cell)| cell.with(|state| state.registered))
            .map(|(name, _)| name.clone())
            .collect())
    }

    async fn enqueue_with(&self, queue: &QueueName, tasks: &[NewTask], intake: Intake) -> Result<Vec<Enqueued>, Error> {
        check_tasks(tasks)?;
        if intake.durability != Durability::None {
            let reason = "nothing survives a restart in memory".to_owned();
            return Err(Error::DurabilityUnavailable { durability: intake.durability, reason });
        }
        let answers = self.change(queue, |queue, now, config| queue.enqueue(tasks, intake, now, config))?;
        // A delayed task is no work yet, but it is something that a waiting worker must learn about.
        self.cell(queue).work.notify_waiters();
        Ok(answers)
    }

    async fn step(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error> {
        for given in [step.settle.len(), step.renew.len(), step.credits] {
            check_batch(given)?;
        }
        Ok(self.change(queue, |queue, now, config| queue.step(&step, now, config)))
    }

    async fn outbox(&self, queue: &QueueName, request: &OutboxRequest) -> Result<OutboxPage, Error> {
        check_batch(request.delivered.len())?;
        Ok(self.change(queue, |queue, now, _| queue.outbox.page(request, now)))
    }

    async fn deliver(&self, queue: &QueueName, from: &QueueName, messages: &[OutboxMessage]) -> Result<bool, Error> {
        check_batch(messages.len())?;
        check_batch(messages.iter().map(OutboxMessage::edges).sum())?;
        let has_messages = self.change(queue, |queue, now, config| queue.hear(from, messages, now, config));
        // What came may be delayed, which a worker who waits must learn about.
        self.cell(queue).work.notify_waiters();
        Ok(has_messages)
    }

    async fn wait_for_work(&self, queue: &QueueName, timeout: Duration) -> Result<(), Error> {
        let cell = self.cell(queue);
        // Listens before it looks, so that nothing is missed in between.
        let mut rung = std::pin::pin!(cell.work.notified());
        rung.as_mut().enable();
        if !cell.with(|state| state.queue.has_work(self.inner.clock.now())) {
            // Both outcomes mean the same: look again.
            let _either = tokio::time::timeout(timeout, rung).await;
        }
        Ok(())
    }

    async fn status(&self, queue: &QueueName, id: TaskId) -> Result<Option<TaskStatus>, Error> {
        Ok(self.read(queue, |queue, now| queue.status(id, now)))
    }

    async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<PeekedTask>, Error> {
        check_batch(limit)?;
        Ok(self.read(queue, |queue, _| queue.peek(limit)))
    }

    async fn stats(&self, queue: &QueueName) -> Result<QueueStats, Error> {
        Ok(self.read(queue, Queue::stats))
    }

    async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error> {
        self.change(queue, |queue, _, _| queue.paused = paused);
        Ok(())
    }

    async fn set_policy(&self, queue: &QueueName, policy: &QueuePolicy) -> Result<(), Error> {
        policy.check()?;
        self.change(queue, |queue, _, _| queue.set_policy(policy));
        Ok(())
    }

    async fn policy(&self, queue: &QueueName) -> Result<QueuePolicy, Error> {
        Ok(self.read(queue, |queue, _| queue.policy.clone()))
    }

    async fn cancel(&self, queue: &QueueName, id: TaskId, reason: &str) -> Result<Option<TaskState>, Error> {
        Ok(self.change(queue, |queue, now, config| queue.cancel(id, reason, now, config)))
    }

    async fn set_brake(&self, queue: &QueueName, change: &BrakeChange) -> Result<(), Error> {
        self.change(queue, |queue, _, _| queue.set_brake(change));
        Ok(())
    }

    async fn unpark(&self, queue: &QueueName, scope: &BrakeScope, limit: usize) -> Result<usize, Error> {
        check_batch(limit)?;
        Ok(self.change(queue, |queue, _, _| queue.unpark(scope, limit)))
    }

    async fn braked(&self, queue: &QueueName, cursor: u64) -> Result<BrakePage, Error> {
        Ok(self.read(queue, |queue, _| queue.braked(cursor)))
    }

    async fn parked(&self, queue: &QueueName, scope: &BrakeScope) -> Result<u64, Error> {
        Ok(self.read(queue, |queue, _| queue.parked_count(scope)))
    }

    async fn dead_letters(
        &self,
        queue: &QueueName,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        check_batch(limit)?;
        Ok(self.read(queue, |queue, _| queue.dead_letters(cursor, limit)))
    }

    async fn requeue_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        check_batch(letters.len())?;
        Ok(self.change(queue, |queue, now, _| queue.requeue_dead(letters, now)))
    }

    async fn purge_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        check_batch(letters.len())?;
        Ok(self.change(queue, |queue, _, config| queue.purge_dead(letters, config)))
    }

    async fn overdue_dead(&self, queue: &QueueName, limit: usize) -> Result<Vec<DeadCursor>, Error> {
        check_batch(limit)?;
        Ok(self.read(queue, |queue, now| queue.overdue_dead(now, &self.inner.config, limit)))
    }

    async fn workers(&self, queue: &QueueName) -> Result<Vec<WorkerStatus>, Error> {
        Ok(self.read(queue, Queue::workers))
    }

    async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error> {
        Ok(self.read(queue, |queue, _| queue.audit()))
    }

    async fn repair(&self, _: &QueueName, _: Option<RepairCursor>) -> Result<RepairPage, Error> {
        // Nobody else writes here, and what a crash takes it takes as a whole.
        Ok(RepairPage::default())
    }
}

// === impl Cell ===

impl Cell {
    fn new(name: QueueName) -> Self {
        Self { state: Mutex::new(State { registered: false, queue: Queue::new(name) }), work: Notify::new() }
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
