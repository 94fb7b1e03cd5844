#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod public;

use std::collections::BTreeMap;

/// Reads bytes, and panics where something does not hold that should.
pub type Run = fn(&[u8]);

/// Every target by its name.
///
/// ```
/// let targets = trackside_fuzz::targets();
/// targets["core_names"](b"agent_tasks");
/// ```
#[must_use]
pub fn targets() -> BTreeMap<&'static str, Run> {
    [
        public::TARGETS,
        trackside_api::fuzzing::TARGETS,
        trackside_cache::fuzzing::TARGETS,
        trackside_control::fuzzing::TARGETS,
        trackside_jobs::fuzzing::TARGETS,
        trackside_progress::fuzzing::TARGETS,
        trackside_queue::fuzzing::TARGETS,
        trackside_ratelimit::fuzzing::TARGETS,
        trackside_session::fuzzing::TARGETS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}
