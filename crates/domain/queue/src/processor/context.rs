//! What a handler is given besides its task: whether it must stop, and where to say how far it has got.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, TaskId};

use crate::{ClaimedTask, Config, Dependency, Error, NewTask, Predecessor, QueueManager, manager::Parent};

/// Why a handler must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The task was called off; it will not run again.
    Cancelled,
    /// The brake is on; the task is given back and parked.
    Paused,
    /// The attempt took longer than it may; it counts as failed.
    TimedOut,
    /// The lease is lost, or about to be: another worker may get the task.
    LeaseLost,
    /// The process shuts down; the task is given back.
    ShuttingDown,
}

/// How far a task has got. A field that is `None` stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProgressReport {
    /// From 0 to 100.
    pub percent: Option<f32>,
    /// What is being done, for a human.
    pub message: Option<String>,
}

/// Where progress goes.
pub trait ProgressSink: Send + Sync + 'static {
    /// Takes a report. Called on the handler's own thread: must not block.
    fn report(&self, task: &ClaimedTask, report: ProgressReport);
}

/// The handler's view of the attempt it is in. Cheap to clone; all clones are one.
///
/// ```
/// use bytes::Bytes;
/// use trackside_queue::{TaskContext, TaskFailure};
///
/// async fn count(context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
///     for percent in 0..100_u8 {
///         if context.is_stopped() {
///             return Err(TaskFailure::retryable("stopped"));
///         }
///         context.progress(Some(percent.into()), None);
///     }
///     Ok(None)
/// }
/// ```
#[derive(Clone)]
pub struct TaskContext {
    task: Arc<ClaimedTask>,
    stop: StopSignal,
    progress: Option<Arc<dyn ProgressSink>>,
    /// The queues of the processor, where there is one.
    queues: Option<QueueManager>,
    /// What follows when the attempt ends with a result.
    next: Arc<Mutex<Vec<(QueueName, NewTask)>>>,
}

/// A stop order and its reason. The first reason counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopSignal {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

// === impl StopReason ===

impl StopReason {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
            Self::TimedOut => "timed_out",
            Self::LeaseLost => "lease_lost",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

// === impl TaskContext ===

impl TaskContext {
    pub(super) fn new(task: Arc<ClaimedTask>, stop: StopSignal, progress: Option<Arc<dyn ProgressSink>>) -> Self {
        Self { task, stop, progress, queues: None, next: Arc::default() }
    }

    /// The context of a task outside a processor, for testing a handler: nothing stops it and progress goes nowhere.
    #[must_use]
    pub fn detached(task: ClaimedTask) -> Self {
        Self::new(Arc::new(task), StopSignal::default(), None)
    }

    pub(super) fn within(self, queues: QueueManager) -> Self {
        Self { queues: Some(queues), ..self }
    }

    /// What was to follow, at the end of the attempt.
    pub(super) fn take_next(&self) -> Vec<(QueueName, NewTask)> {
        std::mem::take(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enqueues a task with the completion of this one: in the same step, and only if that is accepted. Of an attempt that
    /// does not end with a result nothing follows, nor of what is said after the handler has returned.
    ///
    /// Answers its id, which follows from this claim and replaces the one that it came with. It may wait for tasks that
    /// were given here before it, by these ids, and for others, whose queue must be named unless it is its own. What it
    /// does not say of user, project, tenant, correlation and trace it has from this task. One for another queue is known
    /// there as soon as an [`OutboxRelay`](crate::OutboxRelay) has delivered it.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use trackside_queue::{ClaimedTask, NewTask, TaskContext, TaskFailure, TaskOptions};
    ///
    /// async fn collect(task: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
    ///     let render = context
    ///         .enqueue_next(&task.queue, NewTask::new(&task.queue, "report.render", "{}"))
    ///         .map_err(TaskFailure::permanent)?;
    ///     let mail = NewTask::new(&task.queue, "report.mail", "{}")
    ///         .with(TaskOptions { depends_on: vec![render.into()], ..TaskOptions::default() });
    ///     context.enqueue_next(&task.queue, mail).map_err(TaskFailure::permanent)?;
    ///     Ok(None)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidTask`]; [`Error::BatchTooLarge`] beyond [`MAX_NEXT`](crate::MAX_NEXT) tasks or
    /// [`MAX_BATCH`](crate::MAX_BATCH) dependencies.
    pub fn enqueue_next(&self, queue: &QueueName, task: NewTask) -> Result<TaskId, Error> {
        let default = Config::default();
        let config = self.queues.as_ref().map_or(&default, QueueManager::config);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let task = Parent::of_claim(&self.task).next(&next, queue, task, config)?;
        let id = task.id;
        next.push((queue.clone(), task));
        Ok(id)
    }

    /// What became of the tasks that this one waited for, with their results, in the order in which they were named.
    ///
    /// Of a task outside a processor, and of one whose retention is over, only the id and the queue are known.
    ///
    /// # Errors
    /// The store's: [retryable](crate::TaskFailure::Retryable), as the task is not to blame.
    pub async fn predecessors(&self) -> Result<Vec<Predecessor>, Error> {
        let edges = self.task.depends_on.clone();
        match &self.queues {
            Some(queues) => queues.look_up(&self.task.queue, edges).await,
            None => {
                let queue = |other: Option<QueueName>| other.unwrap_or_else(|| self.task.queue.clone());
                let unknown = |it: Dependency| Predecessor { id: it.id, queue: queue(it.queue), status: None };
                Ok(edges.into_iter().map(unknown).collect())
            }
        }
    }

    /// The tasks that will follow, each with its queue: for testing a handler.
    #[must_use]
    pub fn next(&self) -> Vec<(QueueName, NewTask)> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &Arc<ClaimedTask> {
        &self.task
    }

    /// Returns once the handler must stop. Cancel-safe.
    ///
    /// What the handler answers after that counts only if it is a result; otherwise the reason decides what becomes of
    /// the task.
    pub async fn stopped(&self) {
        self.stop.token.cancelled().await;
    }

    /// True once the handler must stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.token.is_cancelled()
    }

    /// Why the handler must stop; `None` while it need not.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop.reason()
    }

    /// A token that is cancelled when the handler must stop, for libraries that take one.
    #[must_use]
    pub fn cancellation_token(&self) -> CancellationToken {
        self.stop.token.child_token()
    }

    /// Says how far the task has got, from 0 to 100, and what is being done.
    pub fn progress(&self, percent: Option<f32>, message: Option<String>) {
        if let Some(progress) = &self.progress {
            progress.report(&self.task, ProgressReport { percent, message });
        }
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("task.id", &self.task.id).field("stop", &self.stop_reason()).finish()
    }
}

// === impl StopSignal ===

impl StopSignal {
    /// Gives the order. Answers false when it was given before.
    pub(crate) fn stop(&self, reason: StopReason) -> bool {
        let is_first = self.reason.set(reason).is_ok();
        self.token.cancel();
        is_first
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    pub(crate) async fn stopped(&self) {
        self.token.cancelled().await;
    }
}
