//! What can go wrong with a queue.

use std::time::Duration;

use trackside_core::{ErrorKind, InvalidName, RetryClass, ScheduleName, TaskId};

use crate::{Durability, Enqueued};

/// A queue operation that failed.
///
/// ```
/// use trackside_queue::Error;
/// let error = Error::InvalidTask { field: "payload", reason: "not JSON".into() };
/// assert!(!error.is_retryable());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a task is wrong; nothing was enqueued.
    #[error("invalid task: {field}: {reason}")]
    InvalidTask {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit of a queue is wrong; nothing was changed.
    #[error("invalid policy: {field}: {reason}")]
    InvalidPolicy {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A field of a schedule is wrong; nothing was written.
    #[error("invalid schedule: {field}: {reason}")]
    InvalidSchedule {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// One of several items is wrong; nothing of the call was done.
    #[error("item {index}")]
    Item {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The queue is at one of its limits (Q-L20); nothing of the call was added.
    #[error("the queue is full")]
    QueueFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store cannot make tasks as safe as asked for; nothing was added.
    #[error("the store cannot make tasks {}: {reason}", .durability.as_str())]
    DurabilityUnavailable {
        /// What was asked for.
        durability: Durability,
        /// Why it cannot be.
        reason: String,
    },
    /// The tasks were added, and not as safe as asked for when the time was over. Repeating the call with the same ids or
    /// idempotency keys waits again.
    #[error("added, but not {} in time", .durability.as_str())]
    DurabilityNotReached {
        /// What was asked for.
        durability: Durability,
        /// What was added.
        added: Vec<Enqueued>,
    },
    /// A request of many tasks failed after its first ones had been added.
    #[error("{} of {given} tasks were added", .added.len())]
    Partly {
        /// What was added, the first tasks of the request in their order.
        added: Vec<Enqueued>,
        /// Tasks in the request.
        given: usize,
        /// Why the next ones were not.
        source: Box<Error>,
    },
    /// An idempotency key came with a request that is not the one it came with first, which made this task (Q-L17);
    /// nothing was enqueued.
    #[error("the idempotency key was used for another request, that of task {0}")]
    IdempotencyKeyReused(TaskId),
    /// A task is to wait for one of which nothing is known (Q-L21); nothing was enqueued.
    #[error("invalid task: depends_on: task {0} is unknown")]
    UnknownPredecessor(TaskId),
    /// A name is malformed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Nothing is known of this task: it never existed, or its retention is over.
    #[error("task {0} is unknown")]
    UnknownTask(TaskId),
    /// There is no schedule of this name.
    #[error("schedule {0} is unknown")]
    UnknownSchedule(ScheduleName),
    /// The lease ended or another worker holds the task; what the caller wanted to write was not written.
    #[error("the lease on task {0} is lost")]
    LeaseLost(TaskId),
    /// More items in one call than a script may touch.
    #[error("{given} items in one call, at most {limit}")]
    BatchTooLarge {
        /// Items given.
        given: usize,
        /// Items allowed.
        limit: usize,
    },
    /// The store failed; `kind` says how.
    #[error("queue store: {operation} failed")]
    Store {
        /// The operation, by its name in metrics.
        operation: &'static str,
        /// How it failed.
        kind: ErrorKind,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

// === impl Error ===

impl Error {
    /// This error about one of several items.
    pub(crate) fn of_item(self, index: usize) -> Self {
        Self::Item { index, source: Box::new(self) }
    }

    /// This error of a part of a request, after the parts before it were added.
    pub(crate) fn after_items(self, added: Vec<Enqueued>, given: usize) -> Self {
        if added.is_empty() {
            return self;
        }
        let source = match self {
            Self::Item { index, source } => Self::Item { index: index.saturating_add(added.len()), source },
            other => other,
        };
        Self::Partly { added, given, source: Box::new(source) }
    }

    /// This error where there was only one item.
    pub(crate) fn of_only_item(self) -> Self {
        match self {
            Self::Item { source, .. } => *source,
            other => other,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidTask { .. }
            | Self::InvalidPolicy { .. }
            | Self::InvalidSchedule { .. }
            | Self::UnknownPredecessor(_)
            | Self::InvalidName(_)
            | Self::BatchTooLarge { .. }
            | Self::IdempotencyKeyReused(_) => ErrorKind::InvalidInput,
            Self::Item { source, .. } | Self::Partly { source, .. } => source.kind(),
            Self::DurabilityUnavailable { .. } => ErrorKind::Refused,
            Self::DurabilityNotReached { .. } => ErrorKind::Timeout,
            Self::QueueFull { .. } => ErrorKind::LimitExceeded,
            Self::UnknownTask(_) | Self::UnknownSchedule(_) => ErrorKind::NotFound,
            Self::LeaseLost(_) => ErrorKind::Conflict,
            Self::Store { kind, .. } => *kind,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }
}
