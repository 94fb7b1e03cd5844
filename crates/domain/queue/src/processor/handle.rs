//! The way into a running processor: what runs, how it is, and the fast path of cancellation and brake.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;
use trackside_core::{QueueName, TaskId, Timestamp, UserId, WorkerId};

use super::{StopReason, context::StopSignal};
use crate::{BrakeScope, ClaimedTask, Fence};

/// Reaches into a processor. Cheap to clone, and good for as long as anyone holds it.
#[derive(Clone)]
pub struct ProcessorHandle {
    shared: Arc<Shared>,
}

/// A task in a processor, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: String,
    /// The user on whose behalf it runs.
    pub user_id: Option<UserId>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When its handler was started, by this machine's clock.
    pub started_at: Timestamp,
    /// Why it was told to stop, if it was.
    pub stop_reason: Option<StopReason>,
}

/// How a processor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessorState {
    /// Not run yet, or its queue was not reached yet.
    Starting,
    /// Claims and runs tasks.
    Running,
    /// The store is away: it goes on with what it holds and claims nothing.
    Disconnected {
        /// Since when, by this machine's clock.
        since: Timestamp,
    },
    /// Shutting down: it claims nothing and finishes what it holds.
    Draining,
    /// Ended; nothing is held.
    Stopped,
}

/// A processor in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessorStatus {
    /// Its queue.
    pub queue: QueueName,
    /// Under what name it leases.
    pub worker_id: WorkerId,
    /// How it is.
    pub state: ProcessorState,
    /// Tasks that may run at once.
    pub concurrency: usize,
    /// Tasks that run.
    pub running: usize,
}

/// What the loop and the handles share.
pub(crate) struct Shared {
    queue: QueueName,
    worker_id: WorkerId,
    concurrency: usize,
    /// By fence: a task that was lost and claimed again may be here twice.
    running: Mutex<HashMap<Fence, Running>>,
    state: watch::Sender<ProcessorState>,
    /// Counts stop orders from outside, so that the loop notices one that came while a claim was on its way.
    orders: AtomicU64,
}

struct Running {
    task: Arc<ClaimedTask>,
    stop: StopSignal,
    started_at: Timestamp,
}

// === impl ProcessorHandle ===

impl ProcessorHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The tasks that run now, oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<RunningTask> {
        let mut running: Vec<_> = self.shared.lock().values().map(Running::describe).collect();
        running.sort_unstable_by_key(|task| (task.started_at, task.id));
        running
    }

    /// Tells every running task that the scope holds to stop; they are given back. Answers how many were told.
    ///
    /// This is the fast path of the brake, and only that: the queue must be told too, or the tasks are claimed again.
    #[must_use = "the number tells whether anything ran"]
    pub fn stop_user(&self, scope: &BrakeScope) -> usize {
        self.shared.stop_braked(scope)
    }

    /// Tells a task to stop because it was called off. Answers false when it does not run here.
    ///
    /// This is the fast path of [`QueueManager::cancel`](crate::QueueManager::cancel), which takes it by itself.
    #[must_use = "false means that the task does not run here"]
    pub fn cancel(&self, id: TaskId) -> bool {
        self.shared.cancel(id)
    }

    /// How the processor is.
    #[must_use]
    pub fn status(&self) -> ProcessorStatus {
        ProcessorStatus {
            queue: self.shared.queue.clone(),
            worker_id: self.shared.worker_id.clone(),
            state: *self.shared.state.borrow(),
            concurrency: self.shared.concurrency,
            running: self.shared.lock().len(),
        }
    }

    /// Follows the state. The receiver has the current one at once.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ProcessorState> {
        self.shared.state.subscribe()
    }
}

impl fmt::Debug for ProcessorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorHandle").field(&self.status()).finish()
    }
}

// === impl Running ===

impl Running {
    fn describe(&self) -> RunningTask {
        RunningTask {
            id: self.task.id,
            kind: self.task.kind.clone(),
            user_id: self.task.user_id.clone(),
            attempt: self.task.attempt,
            started_at: self.started_at,
            stop_reason: self.stop.reason(),
        }
    }

    fn is_held_by(&self, scope: &BrakeScope) -> bool {
        match scope {
            BrakeScope::Everyone => true,
            BrakeScope::User(user) => self.task.user_id.as_ref() == Some(user),
        }
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(queue: QueueName, worker_id: WorkerId, concurrency: usize) -> Arc<Self> {
        Arc::new(Self {
            queue,
            worker_id,
            concurrency,
            running: Mutex::default(),
            state: watch::Sender::new(ProcessorState::Starting),
            orders: AtomicU64::new(0),
        })
    }

    pub(crate) fn stop_braked(&self, scope: &BrakeScope) -> usize {
        self.orders.fetch_add(1, Ordering::SeqCst);
        let running = self.lock();
        running.values().filter(|task| task.is_held_by(scope)).filter(|task| task.stop.stop(StopReason::Paused)).count()
    }

    pub(crate) fn cancel(&self, id: TaskId) -> bool {
        self.orders.fetch_add(1, Ordering::SeqCst);
        let running = self.lock();
        let attempts = running.values().filter(|running| running.task.id == id);
        attempts.inspect(|running| _ = running.stop.stop(StopReason::Cancelled)).count() > 0
    }

    /// Stop orders given so far.
    pub(super) fn orders(&self) -> u64 {
        self.orders.load(Ordering::SeqCst)
    }

    pub(super) fn insert(&self, task: Arc<ClaimedTask>, stop: StopSignal) {
        let running = Running { stop, started_at: Timestamp::now(), task: Arc::clone(&task) };
        self.lock().insert(task.fence, running);
    }

    pub(super) fn remove(&self, fence: Fence) {
        self.lock().remove(&fence);
    }

    pub(super) fn set_state(&self, state: ProcessorState) {
        self.state.send_if_modified(|known| std::mem::replace(known, state) != state);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fence, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
