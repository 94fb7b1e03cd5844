//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing as redis;
use crate::schedule::fuzzing as schedule;

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("queue_calendar", schedule::calendar),
    #[cfg(feature = "redis")]
    ("queue_attributes", redis::attributes),
    #[cfg(feature = "redis")]
    ("queue_final_record", redis::final_record),
    #[cfg(feature = "redis")]
    ("queue_outbox", redis::outbox),
    #[cfg(feature = "redis")]
    ("queue_policy", redis::policy),
    #[cfg(feature = "redis")]
    ("queue_record", redis::record),
    #[cfg(feature = "redis")]
    ("queue_schedule", schedule::record),
    #[cfg(feature = "redis")]
    ("queue_views", redis::views),
];
