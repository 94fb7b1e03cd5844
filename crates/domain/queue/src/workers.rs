//! Who works on a queue.

use std::time::Duration;

use trackside_core::{TaskId, Timestamp, WorkerId};

/// A worker that holds nothing is listed for so long after its last sign of life.
pub(crate) const WORKER_TTL: Duration = Duration::from_secs(60);

/// How often what a worker says of itself is noted at most.
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(3);

/// Tasks that are named of each worker.
pub(crate) const MAX_NAMED: usize = 32;

/// A worker of a queue (Q-L33).
///
/// ```
/// use trackside_queue::WorkerStatus;
/// fn is_idle(worker: &WorkerStatus) -> bool {
///     worker.active == 0
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// What it calls itself.
    pub id: WorkerId,
    /// When it was first seen.
    pub since: Timestamp,
    /// When it last asked for tasks, took one, or said how many places it has; some seconds old at most.
    pub last_seen_at: Timestamp,
    /// How many tasks of this queue it takes at once, as it said or as follows from what it asks for.
    pub slots: u64,
    /// Tasks that it has under lease.
    pub active: u64,
    /// The first 32 of them, in the order in which they were handed out.
    pub tasks: Vec<HeldTask>,
}

/// A task in the hands of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTask {
    /// The task.
    pub id: TaskId,
    /// When it was handed out.
    pub started_at: Timestamp,
}

// === impl WorkerStatus ===

impl WorkerStatus {
    /// A worker that said so much and holds nothing yet.
    pub(crate) const fn seen(id: WorkerId, since: Timestamp, last_seen_at: Timestamp, slots: u64) -> Self {
        Self { id, since, last_seen_at, slots, active: 0, tasks: Vec::new() }
    }

    /// Counts a task that it holds. [`sort`](Self::sort) must follow.
    pub(crate) fn holds(&mut self, id: TaskId, started_at: Timestamp) {
        self.since = self.since.min(started_at);
        self.last_seen_at = self.last_seen_at.max(started_at);
        self.active += 1;
        self.slots = self.slots.max(self.active);
        self.tasks.push(HeldTask { id, started_at });
    }

    /// Leaves the tasks that are named, in their order.
    pub(crate) fn sort(&mut self) {
        self.tasks.sort_unstable_by_key(|task| (task.started_at, task.id));
        self.tasks.truncate(MAX_NAMED);
    }
}
