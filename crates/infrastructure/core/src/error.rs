//! The two questions a caller asks of any failure: what kind is it, and may I try again?

use serde::Serialize;

/// What went wrong, in the words a caller can act on.
///
/// ```
/// use trackside_core::ErrorKind;
/// assert!(ErrorKind::Unavailable.is_store_outage());
/// assert_eq!(ErrorKind::Timeout.as_str(), "timeout");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached, or the breaker is open. The call did not run.
    Unavailable,
    /// No answer in time, or the connection broke while waiting. The outcome is unknown.
    Timeout,
    /// The store answered something that cannot be understood.
    InvalidData,
    /// The store refused: credentials, ACL, out of memory, read-only replica.
    Refused,
    /// The request is wrong; it will be wrong again.
    InvalidInput,
    /// What was named does not exist.
    NotFound,
    /// The state does not allow it, such as a lease that was lost.
    Conflict,
    /// A configured limit is reached; later it may be free again.
    LimitExceeded,
    /// A defect or a failure outside the store.
    Internal,
}

/// Whether trying again can help, and whether it is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Trying again gives the same answer.
    Never,
    /// The call had no effect; it may be tried again.
    Safe,
    /// The call may or may not have had its effect; only an idempotent call may be tried again.
    OutcomeUnknown,
}

// === impl ErrorKind ===

impl ErrorKind {
    /// The stable name used in logs, metrics and problem documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::InvalidData => "invalid_data",
            Self::Refused => "refused",
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::LimitExceeded => "limit_exceeded",
            Self::Internal => "internal",
        }
    }

    /// The retry class that this kind has when nothing more is known.
    #[must_use]
    pub const fn retry_class(self) -> RetryClass {
        match self {
            Self::Unavailable | Self::LimitExceeded => RetryClass::Safe,
            Self::Timeout => RetryClass::OutcomeUnknown,
            _ => RetryClass::Never,
        }
    }

    /// True when the store is away rather than the request wrong: the degraded answer applies.
    #[must_use]
    pub const fn is_store_outage(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }
}
