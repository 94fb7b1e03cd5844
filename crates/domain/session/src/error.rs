//! What can go wrong with sessions.

use std::time::Duration;

use trackside_core::{ErrorKind, InvalidName, RetryClass};

use crate::KeyId;

/// A session operation that failed.
///
/// Only [`NoSession`](Self::NoSession) and [`Reused`](Self::Reused) say that a client is not logged in. Whatever else went wrong,
/// it may well be: a client keeps its token then.
///
/// ```
/// use trackside_session::Error;
/// assert!(Error::NoSession.is_logged_out());
/// assert!(!Error::Entropy { source: "none".into() }.is_logged_out());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such session: it is over, it was destroyed, or the secret is wrong.
    #[error("no such session")]
    NoSession,
    /// A secret was used that was rotated away longer ago than the grace period: two parties hold the session, so it was
    /// destroyed.
    #[error("the session was revoked: a secret was used after it was replaced")]
    Reused,
    /// The secret was rotated away, and whoever holds its successor has used it. The client holds the new token already, or
    /// somebody else does.
    #[error("the secret has been replaced by another client of the session")]
    Superseded,
    /// The user has as many sessions as [`Config::max_per_user`](crate::Config::max_per_user) allows; nothing was changed.
    #[error("the user has {max} sessions already")]
    TooManySessions {
        /// How many are allowed.
        max: u32,
    },
    /// Others changed the context again and again meanwhile; nothing was changed.
    #[error("the context was changed by others {attempts} times in a row")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
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
    /// The store cannot be reached, or did not answer in time; the latter means that the outcome is unknown.
    #[error("session store: {operation} failed, the store is unavailable")]
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
    #[error("session store: {operation} failed")]
    Store {
        /// What was asked of the store, by its name in metrics.
        operation: &'static str,
        /// How it failed.
        kind: ErrorKind,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored is sealed with a key that is not in the keyring.
    #[error("the session is sealed with the key {key_id}, which is not in the keyring")]
    UnknownKey {
        /// Its id.
        key_id: KeyId,
    },
    /// What is stored is not what this crate has stored there: it was damaged, or moved from another session.
    #[error("the stored {what} is not what was stored for this session")]
    Tampered {
        /// Which part.
        what: &'static str,
    },
    /// The operating system has no random numbers.
    #[error("no random numbers from the operating system")]
    Entropy {
        /// Its error.
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
            Self::NoSession | Self::Reused => ErrorKind::NotFound,
            Self::Superseded | Self::Contended { .. } => ErrorKind::Conflict,
            Self::TooManySessions { .. } => ErrorKind::LimitExceeded,
            Self::InvalidInput { .. } | Self::InvalidName(_) => ErrorKind::InvalidInput,
            Self::Unavailable { kind, .. } | Self::Store { kind, .. } => *kind,
            Self::UnknownKey { .. } | Self::Tampered { .. } => ErrorKind::InvalidData,
            Self::Entropy { .. } => ErrorKind::Internal,
        }
    }

    /// True when the call had no effect and may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. }) || self.kind().retry_class() == RetryClass::Safe
    }

    /// True when whoever shows this token is certainly not logged in. A browser's cookie is better left alone even then: it may
    /// hold the token that has replaced this one by now.
    #[must_use]
    pub const fn is_logged_out(&self) -> bool {
        matches!(self, Self::NoSession | Self::Reused)
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
