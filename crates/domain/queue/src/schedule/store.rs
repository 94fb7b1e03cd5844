//! The port: where schedules live, and the laws that every store of them obeys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use trackside_core::{ScheduleName, TaskId, Timestamp};

use super::{Schedule, ScheduleRun};
use crate::Error;

/// Where schedules live.
///
/// A store knows nothing of calendars: who writes a schedule, or takes its slot, says which slot comes next. Every
/// method is one round trip, atomic, bounded (at most [`MAX_BATCH`](crate::MAX_BATCH) schedules) and may be repeated.
///
/// # Laws
/// Each law is a function in the `conformance` module and runs against every store. *Now* is the store's clock.
///
/// - **S-L1 put** — writing a schedule whose `when`, jitter and queue are what they were keeps its slot, its log and,
///   where the schedule does not say otherwise, whether it rests: a program may write its schedules at every start. A
///   schedule of another time, or one that is woken by it, has the slot that was given.
/// - **S-L2 claim** — a claim hands out schedules whose slot is due, the longest overdue first, and holds them: nobody
///   else is handed one before the hold is over. A schedule that rests is never handed out.
/// - **S-L3 fenced** — every write and every claim gives a schedule a new revision, greater than any before it of any
///   schedule; taking a slot or waking with a revision that is not the current one changes nothing.
/// - **S-L4 next** — a claim says when the next schedule is due, so that nobody has to ask before.
/// - **S-L5 listed** — every schedule is listed once, by name, from when it is written until it is removed.
#[async_trait]
pub trait ScheduleStore: Send + Sync + Debug + 'static {
    /// The store's clock.
    async fn now(&self) -> Result<Timestamp, Error>;

    /// Writes a schedule (S-L1). `first` is its slot where it has none that stays.
    async fn put(&self, schedule: &Schedule, first: Slot) -> Result<ScheduleRecord, Error>;

    /// One schedule, or `None` when there is none of that name.
    async fn get(&self, name: &ScheduleName) -> Result<Option<ScheduleRecord>, Error>;

    /// The schedules after a name, or from the first on, sorted by name (S-L5).
    async fn list(&self, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<ScheduleRecord>, Error>;

    /// Removes a schedule; answers whether there was one.
    async fn remove(&self, name: &ScheduleName) -> Result<bool, Error>;

    /// Lets a schedule rest; answers whether there is one.
    async fn pause(&self, name: &ScheduleName) -> Result<bool, Error>;

    /// Wakes a schedule that rests, with the slot that comes next; answers whether the revision was right (S-L3).
    async fn resume(&self, name: &ScheduleName, revision: u64, next: Slot) -> Result<bool, Error>;

    /// Hands out schedules that are due, and holds them (S-L2).
    async fn claim(&self, limit: usize, hold: Duration) -> Result<ClaimedSchedules, Error>;

    /// The slot is done with: the next one, and what there is to remember. Answers whether the revision was right
    /// (S-L3); when it was not, somebody else has seen to the schedule.
    async fn advance(&self, name: &ScheduleName, revision: u64, next: Slot, log: &RunLog) -> Result<bool, Error>;

    /// Remembers a task that somebody asked for. Changes neither slot nor revision.
    async fn note_extra_run(&self, name: &ScheduleName, run: &ScheduleRun) -> Result<(), Error>;
}

/// A time at which a task is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The time itself.
    pub at: Timestamp,
    /// When somebody has to look at it.
    pub due: Timestamp,
}

/// A schedule as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// What was written; `paused` is what it is now.
    pub schedule: Schedule,
    /// Grows with every change (S-L3).
    pub revision: u64,
    /// Whether it rests.
    pub paused: bool,
    /// The slot that comes next; of no meaning while it rests.
    pub slot: Timestamp,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
    /// What it did by itself.
    pub log: RunLog,
    /// The last task that somebody asked for.
    pub extra_run: Option<ScheduleRun>,
}

/// What a schedule did by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunLog {
    /// How many tasks it made.
    pub runs: u64,
    /// The last slot that made a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Why the last slot made none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Schedules that were handed out.
#[derive(Debug, Clone)]
pub struct ClaimedSchedules {
    /// Those that are due.
    pub schedules: Vec<ScheduleRecord>,
    /// The store's clock.
    pub now: Timestamp,
    /// When the next one is due, those handed out included, when their hold is over. Past: more is due than was taken.
    pub next: Option<Timestamp>,
}
