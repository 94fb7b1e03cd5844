//! Runs the tasks of one queue: claims, handlers, leases, settlements.
//!
//! One loop speaks with the store; everything that is due goes into the next step, alone on its way unless it is full:
//! settlements, renewals and claims together. Under load batches form by themselves, and at rest nothing waits.
//!
//! - **Claims** are made for free places only, so that nothing waits here that another worker could run.
//! - **Leases** are renewed on their own timer, which no handler can hold up. The loop counts each lease from before the
//!   call that got it, by its own monotonic clock: with the store away, a handler is stopped before its lease can end
//!   there, so before anyone else can be handed the task.
//! - **Settlements** are kept and repeated until the store has answered (Q-L4), whatever happens to the connection.
//! - **The store away** is a state and not an error: the processor goes on with what it holds, tries again with backoff
//!   and jitter, and first settles and renews before it claims anew.
//! - **Shutdown** stops claiming, lets handlers finish for a while, stops the others and gives their tasks back.

mod attempt;
mod context;
mod handle;
mod handler;
mod ledger;
mod observe;
mod pace;
mod settle;
mod worker;

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, WorkerId};

pub(crate) use self::handle::Shared;
use self::worker::Worker;
pub use self::{
    context::{ProgressReport, ProgressSink, StopReason, TaskContext},
    handle::{ProcessorHandle, ProcessorState, ProcessorStatus, RunningTask},
    handler::{Handlers, TaskFailure, TaskHandler, handler_fn},
    observe::{StartGate, TaskEvent, TaskObserver},
};
use crate::QueueManager;

/// Settings of one processor.
///
/// ```
/// use std::num::NonZeroUsize;
/// use trackside_queue::ProcessorConfig;
/// let config = ProcessorConfig { concurrency: NonZeroUsize::MIN, ..ProcessorConfig::default() };
/// assert_eq!(config.task_timeout.as_secs(), 300);
/// ```
#[derive(Debug, Clone)]
pub struct ProcessorConfig {
    /// Tasks that may run at once.
    pub concurrency: NonZeroUsize,
    /// How long one attempt may run, unless the task says so itself.
    pub task_timeout: Duration,
    /// How long running handlers may go on after the shutdown began, before they are told to stop.
    pub drain: Duration,
    /// How long a handler may take to return after it was told to stop, before its future is dropped.
    pub stop_grace: Duration,
    /// Under what name leases are held. Random by default, so that a restarted process is never taken for the one that
    /// died.
    pub worker_id: WorkerId,
}

/// Runs the tasks of one queue until it is told to stop.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tokio_util::sync::CancellationToken;
/// use trackside_core::{QueueName, SystemClock};
/// use trackside_queue::{
///     Config, Handlers, MemoryQueueStore, NewTask, ProcessorConfig, QueueManager, TaskProcessor, TaskState, handler_fn,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
/// let queues = QueueManager::new(Arc::new(store), Config::default());
/// let mails: QueueName = "mails".parse()?;
/// let send = handler_fn(|_, _| async { Ok(Some(r#"{"sent": true}"#.into())) });
/// let handlers = Handlers::new().on("mail.send", send);
/// let processor = TaskProcessor::new(queues.clone(), mails.clone(), handlers, ProcessorConfig::default());
///
/// let (handle, shutdown) = (processor.handle(), CancellationToken::new());
/// let working = tokio::spawn(processor.run(shutdown.clone()));
/// let task = NewTask::new(&mails, "mail.send", r#"{"to": "ann"}"#);
/// let id = task.id;
/// queues.enqueue(&mails, task).await?;
/// while queues.status(id).await?.is_some_and(|status| status.state != TaskState::Completed) {
///     tokio::time::sleep(Duration::from_millis(1)).await;
/// }
/// shutdown.cancel();
/// working.await?;
/// assert_eq!(handle.status().running, 0);
/// # Ok(()) }
/// ```
pub struct TaskProcessor {
    queues: QueueManager,
    queue: QueueName,
    handlers: Handlers,
    config: ProcessorConfig,
    progress: Option<Arc<dyn ProgressSink>>,
    observers: Vec<Arc<dyn TaskObserver>>,
    gate: Option<Arc<dyn StartGate>>,
    shared: Arc<Shared>,
}

// === impl ProcessorConfig ===

impl Default for ProcessorConfig {
    /// 16 places, 5 minutes an attempt, 20 s to drain, 5 s to stop.
    fn default() -> Self {
        Self {
            concurrency: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
            task_timeout: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(20),
            stop_grace: Duration::from_secs(5),
            worker_id: WorkerId::generate("worker"),
        }
    }
}

// === impl TaskProcessor ===

impl TaskProcessor {
    /// A processor of `queue`. It does nothing until it is run.
    #[must_use]
    pub fn new(queues: QueueManager, queue: QueueName, handlers: Handlers, config: ProcessorConfig) -> Self {
        let shared = Shared::new(queue.clone(), config.worker_id.clone(), config.concurrency.get());
        queues.attach(&shared);
        Self { queues, queue, handlers, config, progress: None, observers: Vec::new(), gate: None, shared }
    }

    /// Sends the progress that handlers report to `sink`.
    #[must_use]
    pub fn with_progress(mut self, sink: Arc<dyn ProgressSink>) -> Self {
        self.progress = Some(sink);
        self
    }

    /// Tells `observer` what happens to tasks, after those added before it.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn TaskObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Asks `gate` before each start.
    #[must_use]
    pub fn with_gate(mut self, gate: Arc<dyn StartGate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// A handle, which stays good after the processor was run.
    #[must_use]
    pub fn handle(&self) -> ProcessorHandle {
        ProcessorHandle::new(Arc::clone(&self.shared))
    }

    /// Runs until `shutdown` is cancelled, everything held has been given back or settled, and the store knows it.
    ///
    /// Ends after at most `drain` and `stop_grace`, plus, with the store away, what is left of the longest lease.
    /// Never fails because the store is away. Not cancel-safe: dropping the future drops the handlers, and what they
    /// had runs again once its leases have ended.
    pub async fn run(self, shutdown: CancellationToken) {
        Worker::new(self).run(shutdown).await;
    }
}

impl fmt::Debug for TaskProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskProcessor")
            .field("queue", &self.queue)
            .field("handlers", &self.handlers)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
