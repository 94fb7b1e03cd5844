//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing as redis;
use crate::{BrakeScope, Message};

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("control_message", message),
    #[cfg(feature = "redis")]
    ("control_record", redis::record),
];

/// A message that was read is read again from what it is written as.
fn message(bytes: &[u8]) {
    let message = Message::parse(bytes);
    let written = serde_json::to_vec(&message);
    assert!(written.is_ok_and(|written| Message::parse(&written) == message), "{message:?}");
    let _brake = message.brake(BrakeScope::Everyone);
}
