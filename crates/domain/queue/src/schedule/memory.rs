//! Schedules inside the process: nothing to install, and nothing that survives a restart.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::{Clock, ScheduleName, Timestamp};

use super::{ClaimedSchedules, RunLog, Schedule, ScheduleRecord, ScheduleRun, ScheduleStore, Slot};
use crate::{Error, limits, limits::check_batch};

/// Schedules in memory, obeying the laws of [`ScheduleStore`]. Clones share them.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_queue::{MemoryScheduleStore, ScheduleStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryScheduleStore::new(Arc::new(SystemClock::default()));
/// assert!(store.list(None, 10).await?.is_empty());
/// # Ok::<(), trackside_queue::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryScheduleStore {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    entries: BTreeMap<ScheduleName, Entry>,
}

#[derive(Debug)]
struct Entry {
    record: ScheduleRecord,
    /// When somebody has to look at it; `None` while it rests.
    due: Option<Timestamp>,
}

// === impl MemoryScheduleStore ===

impl MemoryScheduleStore {
    /// An empty store whose time is that of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ScheduleStore for MemoryScheduleStore {
    async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.clock.now())
    }

    async fn put(&self, schedule: &Schedule, first: Slot) -> Result<ScheduleRecord, Error> {
        Ok(self.state().put(schedule, first, self.clock.now()))
    }

    async fn get(&self, name: &ScheduleName) -> Result<Option<ScheduleRecord>, Error> {
        Ok(self.state().entries.get(name).map(|entry| entry.record.clone()))
    }

    async fn list(&self, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<ScheduleRecord>, Error> {
        check_batch(limit)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state();
        Ok(state.entries.range((from, Bound::Unbounded)).take(limit).map(|(_, entry)| entry.record.clone()).collect())
    }

    async fn remove(&self, name: &ScheduleName) -> Result<bool, Error> {
        Ok(self.state().entries.remove(name).is_some())
    }

    async fn pause(&self, name: &ScheduleName) -> Result<bool, Error> {
        let now = self.clock.now();
        Ok(self.state().change(name, |entry| {
            entry.set_paused(true);
            entry.record.updated_at = now;
            entry.due = None;
        }))
    }

    async fn resume(&self, name: &ScheduleName, revision: u64, next: Slot) -> Result<bool, Error> {
        let now = self.clock.now();
        Ok(self.state().change_if(name, revision, |entry| {
            entry.set_paused(false);
            entry.record.updated_at = now;
            entry.set_slot(next);
        }))
    }

    async fn claim(&self, limit: usize, hold: Duration) -> Result<ClaimedSchedules, Error> {
        check_batch(limit)?;
        let now = self.clock.now();
        let mut state = self.state();
        let due = |entry: &Entry| entry.due.filter(|due| *due <= now);
        let mut names: Vec<(Timestamp, ScheduleName)> =
            state.entries.iter().filter_map(|(name, entry)| Some((due(entry)?, name.clone()))).collect();
        names.sort();
        let mut schedules = Vec::new();
        for (_, name) in names.into_iter().take(limit) {
            state.change(&name, |entry| entry.due = Some(limits::later(now, hold)));
            schedules.extend(state.entries.get(&name).map(|entry| entry.record.clone()));
        }
        let next = state.entries.values().filter_map(|entry| entry.due).min();
        Ok(ClaimedSchedules { schedules, now, next })
    }

    async fn advance(&self, name: &ScheduleName, revision: u64, next: Slot, log: &RunLog) -> Result<bool, Error> {
        Ok(self.state().change_if(name, revision, |entry| {
            entry.record.log = log.clone();
            entry.set_slot(next);
        }))
    }

    async fn note_extra_run(&self, name: &ScheduleName, run: &ScheduleRun) -> Result<(), Error> {
        if let Some(entry) = self.state().entries.get_mut(name) {
            entry.record.extra_run = Some(run.clone());
        }
        Ok(())
    }
}

// === impl State ===

impl State {
    fn put(&mut self, schedule: &Schedule, first: Slot, now: Timestamp) -> ScheduleRecord {
        self.revision += 1;
        let known = self.entries.remove(&schedule.name);
        let was_paused = known.as_ref().is_some_and(|entry| entry.record.paused);
        let mut entry = match known {
            Some(known) => Entry {
                due: known.due.filter(|_| known.has_the_times_of(schedule)),
                record: ScheduleRecord { schedule: schedule.clone(), updated_at: now, ..known.record },
            },
            None => Entry { record: ScheduleRecord::new(schedule.clone(), now), due: None },
        };
        entry.record.revision = self.revision;
        entry.set_paused(schedule.paused.unwrap_or(was_paused));
        if entry.record.paused {
            entry.due = None;
        } else if entry.due.is_none() {
            entry.set_slot(first);
        }
        let record = entry.record.clone();
        self.entries.insert(schedule.name.clone(), entry);
        record
    }

    /// Changes a schedule and gives it a new revision; answers whether there is one.
    fn change(&mut self, name: &ScheduleName, change: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        self.revision += 1;
        change(entry);
        entry.record.revision = self.revision;
        true
    }

    /// As [`change`](Self::change), unless somebody else was there.
    fn change_if(&mut self, name: &ScheduleName, revision: u64, change: impl FnOnce(&mut Entry)) -> bool {
        let is_current = self.entries.get(name).is_some_and(|entry| entry.record.revision == revision);
        is_current && self.change(name, change)
    }
}

// === impl Entry ===

impl Entry {
    fn has_the_times_of(&self, schedule: &Schedule) -> bool {
        let known = &self.record.schedule;
        (&known.when, known.jitter, &known.queue) == (&schedule.when, schedule.jitter, &schedule.queue)
    }

    fn set_paused(&mut self, paused: bool) {
        self.record.paused = paused;
        self.record.schedule.paused = Some(paused);
    }

    fn set_slot(&mut self, slot: Slot) {
        self.record.slot = slot.at;
        self.due = Some(slot.due);
    }
}

// === impl ScheduleRecord ===

impl ScheduleRecord {
    fn new(schedule: Schedule, now: Timestamp) -> Self {
        Self {
            schedule,
            revision: 0,
            paused: false,
            slot: now,
            created_at: now,
            updated_at: now,
            log: RunLog::default(),
            extra_run: None,
        }
    }
}
