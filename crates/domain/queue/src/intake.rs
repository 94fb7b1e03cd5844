//! What a producer may say about a task that others bear upon, and what it is answered.

use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// 1 to 512 printable ASCII characters.
    pub key: String,
    /// When the key is free again.
    pub until: UniqueUntil,
}

/// When the task that holds a unique key lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UniqueUntil {
    /// When it is handed out for the first time: one task waits while another one may run.
    Started,
    /// When it has ended, or is dead.
    Done,
}

/// How a call hands in its tasks.
///
/// ```
/// use trackside_queue::Intake;
/// let intake = Intake { more_to_come: 744, ..Intake::default() };
/// assert_ne!(intake, Intake::default());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intake {
    /// Tasks of the same request that later calls will bring: there must be room for them too (Q-L20).
    pub more_to_come: usize,
    /// How safe they are before the call answers.
    pub durability: Durability,
}

/// How safe new tasks are before their enqueue answers.
///
/// Waiting costs the producer time, never the workers, who may be done with the task before it is over.
///
/// ```
/// use trackside_queue::{Config, Durability};
/// let config = Config { durability: Durability::Replicated, ..Config::default() };
/// assert_eq!(config.durability.as_str(), "replicated");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// As safe as the server keeps what it acknowledges.
    #[default]
    None,
    /// A replica has them too: they survive the loss of the server's machine.
    Replicated,
    /// They are on the server's disk: they survive its crash. Needs an append-only file and Redis 7.2 or Valkey.
    Fsynced,
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

// === impl Durability ===

impl Durability {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Replicated => "replicated",
            Self::Fsynced => "fsynced",
        }
    }
}
