//! What the server hears of the brake.

use serde_json::Value;
use tokio::sync::broadcast;
use trackside_core::{Timestamp, UserId};

use crate::{BrakeScope, BrakeState};

/// A change that this process has just come to know.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlEvent {
    /// A brake is on: stop what runs. Told again when a pause that was made with the bus away gets its revision.
    Pause(BrakeState),
    /// A brake is off as of a revision: go on.
    Resume {
        /// Whose.
        scope: BrakeScope,
        /// As of which revision.
        revision: u64,
    },
    /// An agent said something.
    Status {
        /// Whose.
        user_id: UserId,
        /// What.
        status: Value,
        /// When.
        at: Timestamp,
    },
    /// Changes may have been missed: compare everything with [`AgentControl::paused`](crate::AgentControl::paused).
    Resync,
}

/// A listener to the changes. One that falls behind hears [`ControlEvent::Resync`] instead of what it missed.
#[derive(Debug)]
pub struct ControlEvents {
    receiver: broadcast::Receiver<ControlEvent>,
}

// === impl ControlEvents ===

impl ControlEvents {
    pub(crate) const fn new(receiver: broadcast::Receiver<ControlEvent>) -> Self {
        Self { receiver }
    }

    /// The next change, or `None` when the last [`AgentControl`](crate::AgentControl) is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<ControlEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ControlEvent::Resync),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
