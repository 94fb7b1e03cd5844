//! What can go wrong with rate limits. A denial is no error: it is a decision.

use std::time::Duration;

use trackside_core::{ErrorKind, InvalidName, RetryClass};

use crate::PolicyName;

/// A call of the limiter that failed. Nobody was denied by it.
///
/// ```
/// use trackside_core::ErrorKind;
/// use trackside_ratelimit::Error;
/// let error = Error::UnknownPolicy { name: "gold".parse()? };
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No policy has this name.
    #[error("no rate limit policy is called {name}")]
    UnknownPolicy {
        /// The name.
        name: PolicyName,
    },
    /// A field is wrong; nothing was counted.
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
    /// There are as many overrides as there may be.
    #[error("there are {max} overrides already")]
    TooManyOverrides {
        /// How many there may be.
        max: usize,
    },
    /// The store cannot be reached, or did not answer in time, and the policy lets nobody pass then. After a timeout the call may
    /// have been counted.
    #[error("rate limit store: {operation} failed, the store is unavailable")]
    Unavailable {
        /// What was asked of the store, by its name in metrics.
        operation: &'static str,
        /// [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`].
        kind: ErrorKind,
        /// When it may be worth asking again, where that is known.
        retry_after: Option<Duration>,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed in another way; `kind` says how.
    #[error("rate limit store: {operation} failed")]
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
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownPolicy { .. } => ErrorKind::NotFound,
            Self::InvalidInput { .. } | Self::InvalidName(_) => ErrorKind::InvalidInput,
            Self::TooManyOverrides { .. } => ErrorKind::Conflict,
            Self::Unavailable { kind, .. } | Self::Store { kind, .. } => *kind,
        }
    }

    /// True when the store cannot do its work now, though the call is right.
    pub(crate) fn is_outage(&self) -> bool {
        self.kind().is_store_outage() || self.kind() == ErrorKind::Refused
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }

    /// When it may be worth asking again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
