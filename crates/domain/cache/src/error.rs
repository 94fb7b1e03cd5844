//! What can go wrong with the cache.

use std::sync::Arc;

use trackside_core::{ErrorKind, InvalidName, RetryClass};

use crate::NamespaceName;

/// A cache operation that failed. A miss is none.
///
/// ```
/// use trackside_cache::Error;
/// let error = Error::TooLarge { namespace: "page".parse()?, bytes: 2_000_000, limit: 1_048_576 };
/// assert_eq!(error.to_string(), "the value has 2000000 bytes, and page takes 1048576 at most");
/// assert!(!error.is_retryable());
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
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
    /// A name is malformed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The value is larger than its namespace takes; nothing was changed.
    #[error("the value has {bytes} bytes, and {namespace} takes {limit} at most")]
    TooLarge {
        /// Whose limit it is.
        namespace: NamespaceName,
        /// How large the value is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The value is not what the caller takes it for, or cannot be written as JSON.
    #[error("a value of {namespace} is no JSON of the expected shape")]
    Value {
        /// Where it is.
        namespace: NamespaceName,
        /// How it differs.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The loader failed, and there was nothing stale to answer with.
    #[error("the loader of {namespace} failed")]
    Loader {
        /// Whose loader.
        namespace: NamespaceName,
        /// Its error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// No value came in time: the loader, here or in another process, took longer than it may.
    #[error("no value of {namespace} was loaded within {} ms", waited.as_millis())]
    LoadTimeout {
        /// Whose loader.
        namespace: NamespaceName,
        /// How long the caller waited.
        waited: std::time::Duration,
    },
    /// The store failed; `kind` says how.
    #[error("cache store: {operation} failed")]
    Store {
        /// What was asked of the store, by its name in metrics.
        operation: &'static str,
        /// How it failed.
        kind: ErrorKind,
        /// The store's own error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

// === impl Error ===

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidInput { .. } | Self::InvalidName(_) | Self::TooLarge { .. } => ErrorKind::InvalidInput,
            Self::Value { .. } => ErrorKind::InvalidData,
            Self::Loader { .. } => ErrorKind::Internal,
            Self::LoadTimeout { .. } => ErrorKind::Timeout,
            Self::Store { kind, .. } => *kind,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }

    /// True when it is the store that cannot serve, rather than the request or the data that is wrong.
    pub(crate) fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Store { kind, .. } if kind.is_store_outage() || *kind == ErrorKind::Refused)
    }
}
