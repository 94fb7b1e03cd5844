//! What can go wrong with agent control.

use trackside_core::{ErrorKind, RetryClass};

/// A control operation that failed.
///
/// ```
/// use trackside_control::Error;
/// let error = Error::InvalidInput { field: "reason", reason: "longer than 1024 bytes".into() };
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
    /// The bus failed; `kind` says how.
    #[error("control bus: {operation} failed")]
    Bus {
        /// What was asked of the bus, by its name in metrics.
        operation: &'static str,
        /// How it failed.
        kind: ErrorKind,
        /// The bus' own error.
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
            Self::InvalidInput { .. } => ErrorKind::InvalidInput,
            Self::Bus { kind, .. } => *kind,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }
}
