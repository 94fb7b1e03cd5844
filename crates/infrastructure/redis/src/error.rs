//! What can go wrong between a caller and the store, told by operation and key family and never with a payload.

use std::{fmt, time::Duration};

use thiserror::Error as ThisError;
use trackside_core::{ErrorKind, RetryClass};

/// Any failure of a Redis operation.
///
/// ```
/// use trackside_core::ErrorKind;
/// use trackside_redis::{Error, Operation, Refusal};
///
/// let error = Error::Refused { operation: Operation::new("session.load"), reason: Refusal::Acl };
/// assert_eq!(error.kind(), ErrorKind::Refused);
/// assert_eq!(error.to_string(), "session.load: the server's access rules forbid it");
/// assert!(!error.is_retryable());
/// ```
#[derive(Debug, Clone, PartialEq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The command was not run: no connection, the breaker is open, or the server is not ready to serve.
    #[error("{operation}: redis is unavailable, {reason}")]
    Unavailable {
        /// What was asked.
        operation: Operation,
        /// Why, in a few words.
        reason: String,
        /// When it may be worth asking again, where that is known.
        retry_after: Option<Duration>,
    },
    /// No answer in time, or the connection broke while waiting. The command may or may not have run, or may run later.
    #[error("{operation}: {reason}, whether it took effect is unknown")]
    Timeout {
        /// What was asked.
        operation: Operation,
        /// Why, in a few words.
        reason: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The server answered something else than was expected.
    #[error("{operation}: the answer is {found}, not {expected}")]
    InvalidData {
        /// What was asked.
        operation: Operation,
        /// The shape that was expected, such as `an integer`.
        expected: &'static str,
        /// The shape that came, without its content.
        found: String,
    },
    /// The server understood and refused.
    #[error("{operation}: {reason}")]
    Refused {
        /// What was asked.
        operation: Operation,
        /// On what grounds.
        reason: Refusal,
    },
    /// Any other error answer.
    #[error("{operation}: the server answered {code} {message}")]
    Server {
        /// What was asked.
        operation: Operation,
        /// The first word, such as `WRONGTYPE` or what a script raised.
        code: String,
        /// The rest, without arguments.
        message: String,
    },
    /// The request is wrong; it was not sent.
    #[error("{operation}: {reason}")]
    InvalidInput {
        /// What was asked.
        operation: Operation,
        /// What is wrong with it.
        reason: String,
    },
}

/// On what grounds a server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Wrong or missing user name or password.
    Auth,
    /// The user may not run the command or touch the key or channel.
    Acl,
    /// The memory limit is reached and the policy evicts nothing.
    OutOfMemory,
    /// This server is a replica and takes no writes.
    ReadOnly,
    /// The server cannot persist and is set to take no writes then.
    NotPersisting,
}

/// An operation's name and the family of the key it touched: enough to find the place, too little to leak anything.
///
/// ```
/// use trackside_redis::Operation;
/// assert_eq!(Operation::new("queue.depth").to_string(), "queue.depth");
/// assert_eq!(Operation::on("cache.get", "project:42:data").to_string(), "cache.get on project:*");
/// assert_eq!(Operation::on("queue.claim", "{mail:queue}:lease").to_string(), "queue.claim on mail:*");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    name: &'static str,
    /// The first segment of the key.
    family: Option<String>,
}

/// The longest part of a key that is told.
const FAMILY_LIMIT: usize = 32;

// === impl Error ===

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::InvalidData { .. } => ErrorKind::InvalidData,
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Server { code, .. } if code == "WRONGTYPE" => ErrorKind::InvalidData,
            Self::Server { .. } => ErrorKind::Internal,
            Self::InvalidInput { .. } => ErrorKind::InvalidInput,
        }
    }

    /// True when the same call had no effect and may be repeated. A [`Timeout`](Self::Timeout) is not: its outcome is
    /// unknown, so only a caller who knows the call to be idempotent may repeat it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().retry_class() == RetryClass::Safe
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        match self {
            Self::Unavailable { operation, .. }
            | Self::Timeout { operation, .. }
            | Self::InvalidData { operation, .. }
            | Self::Refused { operation, .. }
            | Self::Server { operation, .. }
            | Self::InvalidInput { operation, .. } => operation,
        }
    }

    /// When it may be worth asking again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The code of a server's error answer, such as what a script raised with `redis.error_reply('LOST …')`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The same failure under the name of the operation that it belongs to, for answers that are taken apart by the
    /// conversions of [`Reply`](crate::Reply).
    #[must_use]
    pub fn during(mut self, name: &'static str) -> Self {
        self.operation_mut().name = name;
        self
    }

    /// The value of the metric attribute `error.type`.
    pub(crate) fn metric_label(&self) -> &'static str {
        self.kind().as_str()
    }

    const fn operation_mut(&mut self) -> &mut Operation {
        match self {
            Self::Unavailable { operation, .. }
            | Self::Timeout { operation, .. }
            | Self::InvalidData { operation, .. }
            | Self::Refused { operation, .. }
            | Self::Server { operation, .. }
            | Self::InvalidInput { operation, .. } => operation,
        }
    }

    pub(crate) fn unavailable(operation: Operation, reason: impl Into<String>) -> Self {
        Self::Unavailable { operation, reason: reason.into(), retry_after: None }
    }

    pub(crate) fn invalid_input(operation: Operation, reason: impl Into<String>) -> Self {
        Self::InvalidInput { operation, reason: reason.into() }
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "the server does not accept the credentials",
            Self::Acl => "the server's access rules forbid it",
            Self::OutOfMemory => "the server's memory limit is reached",
            Self::ReadOnly => "the server is a read-only replica",
            Self::NotPersisting => "the server cannot persist and takes no writes",
        })
    }
}

// === impl Operation ===

impl Operation {
    /// An operation on no key in particular.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, family: None }
    }

    /// An operation on a key, of which only the first segment is kept.
    #[must_use]
    pub fn on(name: &'static str, key: &str) -> Self {
        let family = key.split([':', '{', '}']).find(|segment| !segment.is_empty());
        Self { name, family: family.map(|segment| segment.chars().take(FAMILY_LIMIT).collect()) }
    }

    /// The operation's name, such as `queue.claim`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.family {
            Some(family) => write!(f, "{} on {family}:*", self.name),
            None => f.write_str(self.name),
        }
    }
}
