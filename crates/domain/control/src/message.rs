//! What is said on the channels: `agent:pause:{user_id}`, `agent:resume:{user_id}`, `agent:status:{user_id}`.
//!
//! Everything that this crate publishes about a brake carries a `revision`. A message without one comes from another
//! program. It is an order too: a *pause* is obeyed as if it had been asked for here, whatever its payload; a *resume* only
//! when that program has removed `paused:{user_id}` as well, so that a stray message never lets go of a brake.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::{Timestamp, UserId};

use crate::{BrakeScope, BrakeState};

/// Which of the three channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `agent:pause:{user_id}`.
    Pause,
    /// `agent:resume:{user_id}`.
    Resume,
    /// `agent:status:{user_id}`.
    Status,
}

/// The JSON object on a channel: `{"event", "user_id", "at", …}`. Unknown fields are ignored.
///
/// ```
/// let message = trackside_control::Message::parse(br#"{"event":"pause","user_id":"42","by":"ops"}"#);
/// assert_eq!(message.by.as_deref(), Some("ops"));
/// // Another program may send anything; what counts is the channel.
/// assert_eq!(trackside_control::Message::parse(b"1"), Default::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `pause`, `resume` or `status`.
    #[serde(default)]
    pub event: String,
    /// Whom it is about; `*` for everyone.
    #[serde(default)]
    pub user_id: String,
    /// When, by the bus' clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why; `expired` when a pause ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the pause ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The revision of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What the agent said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

// === impl Channel ===

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pause, Self::Resume, Self::Status];

    /// The name between `agent:` and the user id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Status => "status",
        }
    }
}

// === impl Message ===

impl Message {
    /// Reads a payload; one that is no such object reads as the empty message.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_default()
    }

    /// The brake that a pause tells of, when it is one of ours.
    #[must_use]
    pub fn brake(&self, scope: BrakeScope) -> Option<BrakeState> {
        Some(BrakeState {
            scope,
            since: self.since?,
            reason: self.reason.clone(),
            by: self.by.clone(),
            expires_at: self.expires_at,
            revision: self.revision?,
        })
    }

    /// The message that tells of a pause.
    #[must_use]
    pub fn pause(state: &BrakeState, at: Timestamp) -> Self {
        Self {
            event: Channel::Pause.as_str().to_owned(),
            user_id: state.scope.to_string(),
            at: Some(at),
            since: Some(state.since),
            reason: state.reason.clone(),
            by: state.by.clone(),
            expires_at: state.expires_at,
            revision: Some(state.revision),
            status: None,
        }
    }

    /// The message that tells of a resume.
    #[must_use]
    pub fn resume(scope: &BrakeScope, revision: u64, reason: Option<String>, at: Timestamp) -> Self {
        Self {
            event: Channel::Resume.as_str().to_owned(),
            user_id: scope.to_string(),
            at: Some(at),
            revision: Some(revision),
            reason,
            ..Self::default()
        }
    }

    /// The message that tells what an agent said.
    #[must_use]
    pub fn status(user_id: &UserId, status: Value, at: Timestamp) -> Self {
        Self {
            event: Channel::Status.as_str().to_owned(),
            user_id: user_id.to_string(),
            at: Some(at),
            status: Some(status),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_is_read_as_it_was_told(
            user in "[!-~]{1,128}", reason in prop::option::of("\\PC{0,40}"), by in prop::option::of("\\PC{0,40}"),
            since in 0_u64..253_402_300_799_999, expires in prop::option::of(0_u64..253_402_300_799_999), revision: u64,
        ) {
            let scope = BrakeScope::from(user.parse::<UserId>().unwrap());
            let (since, expires_at) = (Timestamp::from_millis(since), expires.map(Timestamp::from_millis));
            let state = BrakeState { scope: scope.clone(), since, reason, by, expires_at, revision };
            let told = Message::parse(&serde_json::to_vec(&Message::pause(&state, since)).unwrap());
            prop_assert_eq!(told.brake(scope), Some(state));
        }

        #[test]
        fn any_payload_is_read_as_some_message(payload: Vec<u8>) {
            let message = Message::parse(&payload);
            prop_assert!(message.brake(BrakeScope::Everyone).is_none_or(|state| Some(state.revision) == message.revision));
        }
    }
}
