//! What a producer may say about a task that others bear upon, and what it is answered.

use trackside_core::TaskId;

use crate::TaskState;

/// A key that at most one task of a queue holds.
///
/// ```
/// use trackside_queue::{NewTask, TaskOptions, Unique, UniqueUntil};
/// let queue = "enhancement".parse()?;
/// let unique = Unique { key: "reindex:project-7".into(), until: UniqueUntil::Done };
/// let task = NewTask::new(&queue, "reindex", "{}").with(TaskOptions { unique: Some(unique), ..TaskOptions::default() });
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// 1 to 512 printable ASCII characters.
    pub key: String,
    /// When the key is free again.
    pub until: UniqueUntil,
}

/// When the task that holds a unique key lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UniqueUntil {
    /// When it is handed out for the first time: one task waits while another one may run.
    Started,
    /// When it has ended, or is dead.
    Done,
}

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
