//! Whether Redis can be reached, as callers see it.

use std::{fmt, sync::Arc};

/// The state of the way to Redis. It changes within milliseconds of a broken connection and, for a server that hangs
/// without breaking it, after two missing signs of life.
///
/// ```
/// use trackside_redis::ConnectionState;
/// let state = ConnectionState::Disconnected { reason: "connection refused".into() };
/// assert!(!state.is_connected());
/// assert_eq!(state.to_string(), "disconnected: connection refused");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// At least one connection is in service.
    Connected,
    /// None is. Calls are refused at once, and it heals by itself.
    Disconnected {
        /// Why, in a few words, without secrets.
        reason: Arc<str>,
    },
}

// === impl ConnectionState ===

impl ConnectionState {
    /// True when calls are let through.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Disconnected { reason } => write!(f, "disconnected: {reason}"),
        }
    }
}
