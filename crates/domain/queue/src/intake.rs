//! What a producer is answered when it hands in a task.

use trackside_core::TaskId;

use crate::TaskState;

/// The answer to a task that was handed in.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::{QueueName, SystemClock};
/// use trackside_queue::{Config, MemoryQueueStore, NewTask, QueueManager};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), trackside_queue::Error> {
/// # let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
/// # let queues = QueueManager::new(Arc::new(store), Config::default());
/// let exports: QueueName = "exports".parse()?;
/// let task = NewTask::new(&exports, "report.render", "{}");
/// let first = queues.enqueue(&exports, task.clone()).await?;
/// let again = queues.enqueue(&exports, task).await?;
/// assert_eq!(first.id, again.id);
/// assert!(!first.replayed && again.replayed, "it was added once");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The task that stands for what was handed in: the one given, or the one that was there before it.
    pub id: TaskId,
    /// Where it is.
    pub state: TaskState,
    /// Whether it was known before and nothing was added.
    pub replayed: bool,
}
