//! What can go wrong with a queue.

use trackside_core::{ErrorKind, InvalidName, RetryClass, ScheduleName, TaskId};

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
    /// An idempotency key came with a request that is not the one it came with first (Q-L17); nothing was enqueued.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
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

    /// This error with the place of its item counted from further ahead.
    pub(crate) fn after_items(self, count: usize) -> Self {
        match self {
            Self::Item { index, source } => Self::Item { index: index.saturating_add(count), source },
            other => other,
        }
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
            | Self::InvalidName(_)
            | Self::BatchTooLarge { .. }
            | Self::IdempotencyKeyReused => ErrorKind::InvalidInput,
            Self::Item { source, .. } => source.kind(),
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
