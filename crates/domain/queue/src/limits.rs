//! What every store bounds in the same way, so that no two of them differ at the edges.

use std::time::Duration;

use trackside_core::{CorrelationId, TaskId, Timestamp};

use crate::{Error, MAX_BATCH, NewTask};

/// What is kept of an error or a reason, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 2 * 1024;

/// What the history keeps of an error, in bytes.
const MAX_HISTORY_BYTES: usize = 256;

/// Due tasks that one step promotes.
pub(crate) const MAX_PROMOTED: usize = 64;

/// Ended leases that one step takes back.
pub(crate) const MAX_REAPED: usize = 32;

/// Into how many parts the stall threshold is divided: a step is noted when the last note is older than one of them.
pub(crate) const STEP_NOTES: u64 = 16;

/// The longest duration, in milliseconds: three centuries. Times stay below 14 digits with it, which is what every
/// number format between here and the store keeps exactly.
const MAX_MILLIS: u64 = 9_999_999_999_999;

/// Why a task that came up too late was called off.
pub(crate) const EXPIRED: &str = "expired before it started";

/// When a producer that found the queue full is told to try again.
pub(crate) const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Whole milliseconds, bounded.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(MAX_MILLIS).min(MAX_MILLIS)
}

/// A due time, bounded.
pub(crate) fn due(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().min(MAX_MILLIS))
}

/// `from`, later by a bounded number of whole milliseconds.
pub(crate) fn later(from: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(from.as_millis().saturating_add(millis(by)))
}

/// Why a task that was never settled is dead.
pub(crate) fn crash_loop(crashes: u32) -> String {
    format!("crash loop: {crashes} leases ended without a result")
}

/// What the history says of an attempt whose lease ended unsettled.
pub(crate) const LEASE_ENDED: &str = "its lease ended without a result";

/// The first 2 KiB, cut between characters.
pub(crate) fn reason(text: &str) -> &str {
    cut(text, MAX_REASON_BYTES)
}

/// The first bytes of an error, as the history keeps them.
pub(crate) fn beginning(text: &str) -> &str {
    cut(text, MAX_HISTORY_BYTES)
}

fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Refuses more items than one call may carry.
pub(crate) const fn check_batch(given: usize) -> Result<(), Error> {
    if given > MAX_BATCH { Err(Error::BatchTooLarge { given, limit: MAX_BATCH }) } else { Ok(()) }
}

/// Refuses more tasks than one call may carry, or more tasks that they wait for.
pub(crate) fn check_tasks(tasks: &[NewTask]) -> Result<(), Error> {
    check_batch(tasks.len())?;
    check_batch(tasks.iter().map(|task| task.options.depends_on.len()).sum())
}

/// The id that joins a task to its request: its own unless the producer named another.
pub(crate) fn correlation(id: TaskId, given: Option<&CorrelationId>) -> CorrelationId {
    given.cloned().unwrap_or_else(|| CorrelationId::accept(Some(&id.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "ä".repeat(MAX_REASON_BYTES);
        assert_eq!(reason(&long).len(), MAX_REASON_BYTES);
        assert_eq!(reason(&format!("x{long}")).len(), MAX_REASON_BYTES - 1);
        assert_eq!(reason("short"), "short");
    }

    #[test]
    fn an_absurd_duration_is_three_centuries() {
        assert_eq!(millis(Duration::MAX), MAX_MILLIS);
    }
}
