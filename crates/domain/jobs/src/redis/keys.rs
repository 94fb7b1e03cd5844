//! The keys and the channel of jobs.
//!
//! | name | type | holds | time to live |
//! |---|---|---|---|
//! | `job:{job_id}:status` | string | the job as JSON: `{"job_id", "tool", "status", "progress", …}` | 600 s after it was written last |
//! | `job_updates` | channel | `{"event", "job_id", "tool", "status", "at", …}` | |

use trackside_core::{KeyPatterns, KeyPrefix, TaskId};

/// The keys and channels of jobs, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%job:*:status"], &["%job_updates"])
}

/// The state of a job.
pub(super) fn status(prefix: &KeyPrefix, job_id: TaskId) -> String {
    prefix.key(&format!("job:{job_id}:status"))
}

/// The channel of job updates.
pub(super) fn updates(prefix: &KeyPrefix) -> String {
    prefix.key("job_updates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_documented_ones() {
        let id: TaskId = "01980000-0000-7000-8000-000000000000".parse().unwrap();
        let none = KeyPrefix::default();
        assert_eq!(status(&none, id), "job:01980000-0000-7000-8000-000000000000:status");
        assert_eq!(updates(&none), "job_updates");
        assert_eq!(updates(&KeyPrefix::new("staging:")), "staging:job_updates");
    }
}
