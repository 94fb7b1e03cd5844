//! What a queue holds and did, in numbers.

use std::time::Duration;

/// Counts and ages of one queue.
///
/// ```
/// use trackside_queue::QueueStats;
/// fn backlog(stats: &QueueStats) -> u64 {
///     stats.ready.iter().sum()
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Ready tasks per level, in the order of [`Priority::ALL`](crate::Priority::ALL).
    pub ready: [u64; 4],
    /// Under lease.
    pub active: u64,
    /// Not due yet, retries included.
    pub delayed: u64,
    /// Waiting for other tasks.
    pub waiting: u64,
    /// Held back by the brake.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// Age of the oldest among the tasks that are next in their levels.
    pub oldest_age: Option<Duration>,
    /// Whether the queue is paused.
    pub paused: bool,
    /// Tasks ever accepted.
    pub created: u64,
    /// Tasks ever completed.
    pub completed: u64,
    /// Tasks ever called off.
    pub cancelled: u64,
    /// Dead letters ever purged.
    pub purged: u64,
    /// Attempts that ever failed (Q-L8).
    pub failed: u64,
    /// How many of them are, or were, tried again.
    pub retried: u64,
    /// Leases that ever ended unsettled (Q-L9).
    pub crashed: u64,
    /// Tasks that ever came up too late (Q-L16).
    pub expired: u64,
    /// Workers that were seen during the last minute (Q-L33); an estimate when they are many.
    pub workers: u64,
    /// How many tasks they take at once.
    pub slots: u64,
    /// Memory that the unfinished tasks take, in bytes: an estimate.
    pub bytes: u64,
}
