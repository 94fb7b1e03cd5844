//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing as redis;

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "redis")]
    ("ratelimit_answer", redis::answers),
    #[cfg(feature = "redis")]
    ("ratelimit_shared", redis::shared_by_all),
];
