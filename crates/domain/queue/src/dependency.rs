//! Tasks that wait for others, and what becomes of them when one of those fails.

use serde::{Deserialize, Serialize};
use trackside_core::{QueueName, TaskId};

use crate::TaskStatus;

/// Most tasks that one task may wait for.
pub const MAX_DEPENDENCIES: usize = 256;

/// A task that another one waits for.
///
/// ```
/// use trackside_core::{QueueName, TaskId};
/// use trackside_queue::{NewTask, TaskOptions};
/// let queue: QueueName = "reports".parse()?;
/// let collect = NewTask::new(&queue, "report.collect", "{}");
/// let render = NewTask::new(&queue, "report.render", "{}")
///     .with(TaskOptions { depends_on: vec![collect.id.into()], ..TaskOptions::default() });
/// assert_eq!(render.options.depends_on[0].id, collect.id);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The task that must end first.
    pub id: TaskId,
    /// Its queue, where it is another one than that of the task that waits. The manager looks for it when it is not
    /// named; a store does not.
    pub queue: Option<QueueName>,
}

/// A task that another one waits for, or waited for, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// The task.
    pub id: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// What became of it, with its result; `None` when nothing is known of it any more.
    pub status: Option<TaskStatus>,
}

/// What becomes of a task when one that it waits for dies or is called off.
///
/// ```
/// use trackside_queue::OnFailure;
/// assert_eq!(OnFailure::default(), OnFailure::Fail);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It dies with a reason that begins with "dependency failed", and can be requeued from the dead letters.
    #[default]
    Fail,
    /// It runs all the same, once all of them have ended in one way or another.
    Continue,
    /// It is called off.
    Cancel,
}

// === impl Dependency ===

impl From<TaskId> for Dependency {
    fn from(id: TaskId) -> Self {
        Self { id, queue: None }
    }
}
