//! What can go wrong with progress.

use trackside_core::{ErrorKind, InvalidName, RetryClass};

use crate::{ProgressId, Status};

/// A progress operation that failed.
///
/// ```
/// use trackside_progress::Error;
/// let error = Error::InvalidInput { field: "percent", reason: "must be from 0 to 100".into() };
/// assert!(!error.is_retryable());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field is wrong; nothing was changed.
    #[error("invalid {field}: {reason}")]
    InvalidInput {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An id is malformed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Nothing is known of this operation: it was never started, or its time is over.
    #[error("operation {0} is unknown")]
    Unknown(ProgressId),
    /// The operation has ended and takes no more updates.
    #[error("operation {id} has ended: it is {status}")]
    Finished {
        /// The operation.
        id: ProgressId,
        /// How it ended.
        status: Status,
    },
    /// The store failed; `kind` says how.
    #[error("progress store: {operation} failed")]
    Store {
        /// What was asked of the store, by its name in metrics.
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
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidInput { .. } | Self::InvalidName(_) => ErrorKind::InvalidInput,
            Self::Unknown(_) => ErrorKind::NotFound,
            Self::Finished { .. } => ErrorKind::Conflict,
            Self::Store { kind, .. } => *kind,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }

    /// True when it is the store that cannot serve, rather than the request or the data that is wrong.
    #[must_use]
    pub fn is_of_the_store(&self) -> bool {
        self.kind().is_store_outage() || self.kind() == ErrorKind::Refused
    }

    /// What the store holds cannot be understood.
    pub(crate) fn invalid_data(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Store { operation, kind: ErrorKind::InvalidData, source: source.into() }
    }
}
