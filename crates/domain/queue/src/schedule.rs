//! Schedules: tasks that come again, by the calendar or at an interval. What a schedule is, and what is known of one.

mod calendar;
#[cfg(feature = "conformance")]
pub(crate) mod conformance;
mod firing;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod manager;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod scheduler;
mod store;
mod validate;

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use trackside_core::{QueueName, ScheduleName, TaskId, Timestamp, UserId};

pub(crate) use self::calendar::Calendar;
#[cfg(feature = "redis")]
pub use self::redis::{RedisScheduleStore, schedule_key_patterns};
pub use self::{
    manager::Schedules,
    memory::MemoryScheduleStore,
    scheduler::{Scheduler, SchedulerConfig},
    store::{ClaimedSchedules, RunLog, ScheduleRecord, ScheduleStore, Slot},
};
use crate::{DEFAULT_MAX_ATTEMPTS, Priority, RetryPolicy};

/// Most missed slots that [`CatchUp::All`] may ask for.
pub const MAX_CATCH_UP: u32 = 256;

/// A task that comes again.
///
/// ```
/// use std::time::Duration;
/// use trackside_queue::{Schedule, When};
/// let nightly = Schedule::new(
///     "reports:nightly".parse()?,
///     "exports".parse()?,
///     When::Cron { expression: "30 2 * * MON-FRI".into(), timezone: "Europe/Berlin".into() },
///     "report.render",
///     r#"{"scope": "all"}"#,
/// );
/// let pulse = Schedule { when: When::Every { interval: Duration::from_secs(30) }, ..nightly.clone() };
/// assert_ne!(nightly, pulse);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it is called.
    pub name: ScheduleName,
    /// Where its tasks go.
    pub queue: QueueName,
    /// What a worker chooses the handler by.
    pub kind: String,
    /// JSON text, the same for each task.
    pub payload: Bytes,
    /// What else is said of each task.
    pub options: ScheduleOptions,
    /// When a task is due. Each such time is a slot.
    pub when: When,
    /// What becomes of slots that passed while nobody scheduled.
    pub catch_up: CatchUp,
    /// Each task is enqueued up to so much after its slot; how much follows from the schedule and the slot.
    pub jitter: Duration,
    /// Whether it rests. `None` leaves it as it is; a new schedule then runs.
    pub paused: Option<bool>,
}

/// When the tasks of a schedule are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// By the calendar.
    ///
    /// Where clocks are put forward, a time of day that does not exist is the first moment after the gap; where they are
    /// put back, a time of day that exists twice counts once. Patterns that run through the hours or minutes
    /// (`*/10 * * * *`) go on evenly instead.
    Cron {
        /// Minute, hour, day of the month, month, day of the week, as in crontab; a sixth field in front is seconds.
        expression: String,
        /// A name of the IANA time zone database, such as `Europe/Berlin` or `UTC`.
        timezone: String,
    },
    /// At every multiple of the interval since 1970-01-01T00:00:00Z, so that it neither drifts nor depends on when
    /// somebody wrote it down.
    Every {
        /// At least 100 ms, in whole milliseconds.
        interval: Duration,
    },
}

/// What becomes of slots that passed while nobody scheduled: the service was down, or its store away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are left out, except one that passed less than [`SchedulerConfig::grace`] ago.
    Skip,
    /// The newest of them is run, however late.
    #[default]
    Latest,
    /// The newest `max` of them are run, in their order.
    All {
        /// At most [`MAX_CATCH_UP`].
        max: NonZeroU32,
    },
}

/// What is said of each task of a schedule, besides its kind and payload. As in [`TaskOptions`](crate::TaskOptions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleOptions {
    /// The level it waits in.
    pub priority: Priority,
    /// How long one attempt may run; `None` leaves it to the worker's setting.
    pub timeout: Option<Duration>,
    /// Failed attempts after which it goes to the dead letters.
    pub max_attempts: NonZeroU32,
    /// The wait between attempts.
    pub retry: RetryPolicy,
    /// How long a lease on it lasts; `None` leaves it to the worker's setting.
    pub lease: Option<Duration>,
    /// The user on whose behalf it runs; the brake acts on this.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// Words to find it by, at most 16.
    pub tags: Vec<String>,
}

/// What is known of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// What it is; `paused` is what it is now.
    pub schedule: Schedule,
    /// Whether it rests.
    pub paused: bool,
    /// The slot that comes next; `None` while it rests.
    pub next_slot: Option<Timestamp>,
    /// When the task of that slot is enqueued, which is later by the jitter.
    pub next_run_at: Option<Timestamp>,
    /// The last task that it made.
    pub last_run: Option<ScheduleRun>,
    /// How many tasks it made by itself.
    pub runs: u64,
    /// Why the last slot made none.
    pub last_error: Option<String>,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
}

/// A task that a schedule made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRun {
    /// The task.
    pub task_id: TaskId,
    /// Its slot; `None` when somebody asked for it.
    pub slot: Option<Timestamp>,
    /// When it was enqueued.
    pub at: Timestamp,
}

// === impl Schedule ===

impl Schedule {
    /// A schedule with default options that catches up with the latest slot and has no jitter; `payload` is JSON text.
    #[must_use]
    pub fn new(
        name: ScheduleName,
        queue: QueueName,
        when: When,
        kind: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self {
            name,
            queue,
            kind: kind.into(),
            payload: payload.into(),
            options: ScheduleOptions::default(),
            when,
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
            paused: None,
        }
    }
}

// === impl ScheduleOptions ===

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            priority: Priority::Normal,
            timeout: None,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            retry: RetryPolicy::default(),
            lease: None,
            user_id: None,
            project_id: None,
            tenant_id: None,
            tags: Vec::new(),
        }
    }
}
