//! What programs, the HTTP API and operators hold: schedules over a [`ScheduleStore`], and the queues they feed.

use std::{fmt, sync::Arc};

use tokio::sync::Notify;
use trackside_core::{ErrorKind, ScheduleName, Timestamp};

use super::{
    Calendar, RunLog, Schedule, ScheduleRecord, ScheduleRun, ScheduleStatus, ScheduleStore, Slot, firing, validate,
};
use crate::{Enqueued, Error, MAX_BATCH, QueueManager};

/// How often a change is tried again that somebody else's change got in the way of.
const TRIES: usize = 8;

/// The schedules of a program. Cheap to clone; all clones are one.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::{Clock, SystemClock};
/// use trackside_queue::{
///     Config, MemoryQueueStore, MemoryScheduleStore, QueueManager, Schedule, Schedules, When,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), trackside_queue::Error> {
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
/// let store = MemoryQueueStore::new(Config::default(), Arc::clone(&clock));
/// let queues = QueueManager::new(Arc::new(store), Config::default());
/// let schedules = Schedules::new(Arc::new(MemoryScheduleStore::new(clock)), queues);
///
/// let when = When::Cron { expression: "0 6 * * *".into(), timezone: "Europe/Paris".into() };
/// let schedule = Schedule::new("digest".parse()?, "exports".parse()?, when, "digest.send", "{}");
/// let status = schedules.put(schedule).await?;
/// assert!(status.next_run_at.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Schedules {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ScheduleStore>,
    queues: QueueManager,
    /// Something was changed here, which the scheduler of this process need not find out by asking.
    changed: Notify,
}

// === impl Schedules ===

impl Schedules {
    /// The schedules of `store`, whose tasks go to `queues`.
    #[must_use]
    pub fn new(store: Arc<dyn ScheduleStore>, queues: QueueManager) -> Self {
        Self { inner: Arc::new(Inner { store, queues, changed: Notify::new() }) }
    }

    /// Writes a schedule, new or in place of the one of that name.
    ///
    /// A schedule whose times did not change keeps its next slot and rests if it rested, so that a program may write its
    /// schedules at every start; one whose times changed begins with the first slot after now.
    ///
    /// # Errors
    /// [`Error::InvalidSchedule`] or [`Error::InvalidTask`] when a field is wrong; the store's errors. May be repeated.
    pub async fn put(&self, schedule: Schedule) -> Result<ScheduleStatus, Error> {
        let calendar = validate::schedule(&schedule, self.inner.queues.config())?;
        let first = next_slot(&schedule, &calendar, self.inner.store.now().await?)?;
        let record = self.inner.store.put(&schedule, first).await?;
        self.inner.changed.notify_one();
        Ok(record.into_status())
    }

    /// One schedule, or `None` when there is none of that name.
    ///
    /// # Errors
    /// The store's.
    pub async fn get(&self, name: &ScheduleName) -> Result<Option<ScheduleStatus>, Error> {
        Ok(self.inner.store.get(name).await?.map(ScheduleRecord::into_status))
    }

    /// Up to `limit` schedules (at most [`MAX_BATCH`]) after a name, or from the first on, sorted by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<ScheduleStatus>, Error> {
        let records = self.inner.store.list(after, limit.min(MAX_BATCH)).await?;
        Ok(records.into_iter().map(ScheduleRecord::into_status).collect())
    }

    /// Removes a schedule; answers whether there was one. Tasks that it made stay.
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn remove(&self, name: &ScheduleName) -> Result<bool, Error> {
        self.inner.store.remove(name).await
    }

    /// Lets a schedule rest: it makes no tasks until it is resumed. One that rests already is left as it is.
    ///
    /// # Errors
    /// [`Error::UnknownSchedule`]; the store's errors. May be repeated.
    pub async fn pause(&self, name: &ScheduleName) -> Result<ScheduleStatus, Error> {
        if !self.known(name).await?.paused {
            self.inner.store.pause(name).await?;
        }
        Ok(self.known(name).await?.into_status())
    }

    /// Wakes a schedule that rests. It goes on with the first slot after now: those that passed meanwhile are left out.
    ///
    /// # Errors
    /// [`Error::UnknownSchedule`]; the store's errors. May be repeated.
    pub async fn resume(&self, name: &ScheduleName) -> Result<ScheduleStatus, Error> {
        for _ in 0..TRIES {
            let record = self.known(name).await?;
            if !record.paused {
                return Ok(record.into_status());
            }
            let calendar = Calendar::of(&record.schedule.when)?;
            let next = next_slot(&record.schedule, &calendar, self.inner.store.now().await?)?;
            if self.inner.store.resume(name, record.revision, next).await? {
                self.inner.changed.notify_one();
            }
        }
        Err(Error::Store {
            operation: "schedule.resume",
            kind: ErrorKind::Conflict,
            source: "the schedule was changed again and again".into(),
        })
    }

    /// Makes a task of the schedule now, also when it rests, besides those of its slots.
    ///
    /// # Errors
    /// [`Error::UnknownSchedule`]; those of [`QueueManager::enqueue`]. May be repeated with the same idempotency key;
    /// without one, each call that has its effect makes a task.
    pub async fn run_now(&self, name: &ScheduleName, idempotency_key: Option<String>) -> Result<Enqueued, Error> {
        let schedule = self.known(name).await?.schedule;
        let mut task = firing::extra_task(&schedule);
        task.options.idempotency_key = idempotency_key;
        let at = self.inner.store.now().await?;
        let enqueued = self.inner.queues.enqueue(&schedule.queue, task).await?;
        let run = ScheduleRun { task_id: enqueued.id, slot: None, at };
        if let Err(error) = self.inner.store.note_extra_run(name, &run).await {
            // The task is there: that it is not shown beside the schedule must not look as if it were not.
            tracing::warn!(schedule.name = %name, task.id = %run.task_id, %error, "a run could not be noted");
        }
        Ok(enqueued)
    }

    pub(super) fn store(&self) -> &Arc<dyn ScheduleStore> {
        &self.inner.store
    }

    pub(super) fn queues(&self) -> &QueueManager {
        &self.inner.queues
    }

    /// Returns when a schedule was written or woken in this process. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    async fn known(&self, name: &ScheduleName) -> Result<ScheduleRecord, Error> {
        self.inner.store.get(name).await?.ok_or_else(|| Error::UnknownSchedule(name.clone()))
    }
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedules").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

/// The first slot after `now`.
fn next_slot(schedule: &Schedule, calendar: &Calendar, now: Timestamp) -> Result<Slot, Error> {
    let at = calendar.next_after(now).ok_or_else(|| super::calendar::invalid("cron", "there is no such day"))?;
    Ok(firing::slot(schedule, at))
}

// === impl ScheduleRecord ===

impl ScheduleRecord {
    fn into_status(self) -> ScheduleStatus {
        let next_slot = (!self.paused).then_some(self.slot);
        let RunLog { runs, slot, at, task_id, error } = self.log;
        let by_itself = at.zip(task_id).map(|(at, task_id)| ScheduleRun { task_id, slot, at });
        ScheduleStatus {
            paused: self.paused,
            next_slot,
            next_run_at: next_slot.map(|slot| firing::run_at(&self.schedule, slot)),
            last_run: self.extra_run.into_iter().chain(by_itself).max_by_key(|run| run.at),
            runs,
            last_error: error,
            created_at: self.created_at,
            updated_at: self.updated_at,
            schedule: self.schedule,
        }
    }
}
