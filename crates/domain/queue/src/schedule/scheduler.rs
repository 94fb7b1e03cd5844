//! The scheduler: makes the tasks of slots whose time has come. Every process may run one; none of them leads.
//!
//! A slot is done in three steps, and a crash between any two of them does no harm:
//!
//! 1. the schedule is claimed, so that the others leave it alone for a while (S-L2);
//! 2. the task is enqueued under an id that follows from schedule and slot, so that it is there once, whoever does this
//!    and however often (Q-L1);
//! 3. the schedule is given its next slot, unless somebody else was faster (S-L3).
//!
//! Who dies after the first or second step leaves a claim that ends, and somebody does the same again.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trackside_core::{ErrorKind, Timestamp};

use super::{Calendar, CatchUp, RunLog, ScheduleRecord, Schedules, Slot, calendar::Due, firing};
use crate::{Error, limits, metrics};

/// Schedules that are claimed at once.
const CLAIMED_AT_ONCE: usize = 32;

/// How a scheduler goes about it.
///
/// ```
/// use std::time::Duration;
/// use trackside_queue::SchedulerConfig;
/// let config = SchedulerConfig { poll: Duration::from_millis(200), ..SchedulerConfig::default() };
/// assert!(config.hold > config.poll);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// The longest wait between two looks: how late a schedule may be that another process has just written, and a
    /// light load on the store.
    pub poll: Duration,
    /// How long a claim lasts: how late the task of a slot is whose scheduler died over it.
    pub hold: Duration,
    /// A slot that is later than this was missed, and is left out where a schedule says [`CatchUp::Skip`].
    pub grace: Duration,
}

/// Makes the tasks of [`Schedules`] when their time has come.
///
/// ```no_run
/// use tokio_util::sync::CancellationToken;
/// use trackside_queue::{Scheduler, SchedulerConfig, Schedules};
///
/// # async fn example(schedules: Schedules) {
/// let shutdown = CancellationToken::new();
/// let running = tokio::spawn(Scheduler::new(schedules, SchedulerConfig::default()).run(shutdown.clone()));
/// shutdown.cancel();
/// running.await.unwrap();
/// # }
/// ```
#[derive(Debug)]
pub struct Scheduler {
    schedules: Schedules,
    config: SchedulerConfig,
}

// === impl SchedulerConfig ===

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { poll: Duration::from_secs(1), hold: Duration::from_secs(5), grace: Duration::from_secs(60) }
    }
}

// === impl Scheduler ===

impl Scheduler {
    /// A scheduler of these schedules.
    #[must_use]
    pub const fn new(schedules: Schedules, config: SchedulerConfig) -> Self {
        Self { schedules, config }
    }

    /// Works until `shutdown` is cancelled; what it has begun is finished first. Dropping it loses nothing either, but
    /// the task of a claimed slot is then late by the rest of the hold.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut is_away = false;
        while !shutdown.is_cancelled() {
            let wait = match self.round().await {
                Ok(wait) => {
                    if std::mem::take(&mut is_away) {
                        tracing::info!("the schedules can be read again");
                    }
                    wait
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the schedules cannot be read; slots wait until they can");
                    }
                    self.config.poll
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.schedules.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sees to everything that is due, and answers how long to wait then.
    async fn round(&self) -> Result<Duration, Error> {
        let began = Instant::now();
        let claimed = self.schedules.store().claim(CLAIMED_AT_ONCE, self.config.hold).await?;
        join_all(claimed.schedules.iter().map(|record| self.see_to(record, claimed.now, began))).await;
        if claimed.schedules.len() == CLAIMED_AT_ONCE {
            return Ok(Duration::ZERO);
        }
        let next = claimed.next.map(|next| Duration::from_millis(next.millis_since(claimed.now)));
        // What is due after the round began was waited for meanwhile.
        Ok(next.map_or(self.config.poll, |next| next.saturating_sub(began.elapsed()).min(self.config.poll)))
    }

    /// Sees to one schedule; whatever goes wrong stays with it.
    async fn see_to(&self, record: &ScheduleRecord, now: Timestamp, began: Instant) {
        let (name, queue) = (&record.schedule.name, &record.schedule.queue);
        if let Err(error) = self.fire(record, now, began).await {
            metrics::schedule_failed(queue);
            tracing::warn!(
                schedule.name = %name,
                queue.name = %queue,
                error = &error as &dyn std::error::Error,
                "a scheduled task could not be enqueued; the next scheduler that comes by tries again"
            );
        }
    }

    async fn fire(&self, record: &ScheduleRecord, now: Timestamp, began: Instant) -> Result<(), Error> {
        let schedule = &record.schedule;
        let calendar = Calendar::of(&schedule.when)?;
        let most = match schedule.catch_up {
            CatchUp::Skip | CatchUp::Latest => 1,
            CatchUp::All { max } => usize::try_from(max.get()).unwrap_or(usize::MAX).min(crate::MAX_BATCH),
        };
        let due = calendar.due(schedule, record.slot, now, most);
        let Due { mut slots, next } = due.ok_or_else(|| super::calendar::invalid("cron", "there is no such day"))?;
        if schedule.catch_up == CatchUp::Skip {
            let grace = limits::millis(self.config.grace);
            slots.retain(|slot| now.millis_since(firing::run_at(schedule, *slot)) <= grace);
        }
        let next = firing::slot(schedule, next);
        let Some(newest) = slots.back().copied() else {
            return self.advance(record, next, &record.log).await;
        };
        // A process that was stopped for long has lost its claim without knowing.
        if began.elapsed() >= self.config.hold {
            return Ok(());
        }
        let tasks: Vec<_> = slots.iter().map(|slot| firing::task(schedule, *slot)).collect();
        let task_id = tasks.last().map(|task| task.id);
        match self.schedules.queues().enqueue_many(&schedule.queue, tasks).await {
            Ok(_) => {
                let made = slots.len() as u64;
                let log =
                    RunLog { runs: record.log.runs + made, slot: Some(newest), at: Some(now), task_id, error: None };
                let lateness = Duration::from_millis(now.millis_since(firing::run_at(schedule, newest)));
                metrics::schedule_fired(&schedule.queue, made, lateness);
                tracing::debug!(schedule.name = %schedule.name, schedule.slot = %newest, tasks = made, "slot done");
                self.advance(record, next, &log).await
            }
            Err(error) => {
                // They are all alike, so that it does not matter which of them it was.
                let error = if let Error::Item { source, .. } = error { *source } else { error };
                let log = RunLog { error: Some(limits::reason(&error.to_string()).to_owned()), ..record.log.clone() };
                // What will never be accepted must not stand in the way of what comes after it.
                let is_hopeless = error.kind() == ErrorKind::InvalidInput;
                let again = Slot { at: record.slot, due: limits::later(now, self.config.hold) };
                self.advance(record, if is_hopeless { next } else { again }, &log).await?;
                Err(error)
            }
        }
    }

    async fn advance(&self, record: &ScheduleRecord, next: Slot, log: &RunLog) -> Result<(), Error> {
        let name = &record.schedule.name;
        if !self.schedules.store().advance(name, record.revision, next, log).await? {
            tracing::debug!(schedule.name = %name, "somebody else has seen to the schedule meanwhile");
        }
        Ok(())
    }
}
