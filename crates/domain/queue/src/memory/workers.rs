//! Who works on a queue in memory.

use std::collections::BTreeMap;

use trackside_core::{Timestamp, WorkerId};

use super::queue::{Place, Queue};
use crate::{
    Step, WorkerStatus, limits,
    workers::{NOTED_EVERY, WORKER_TTL},
};

/// What a worker said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    since: Timestamp,
    last: Timestamp,
    slots: u64,
}

// === impl Seen ===

impl Seen {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.millis_since(self.last) < limits::millis(WORKER_TTL)
    }
}

// === impl Queue ===

impl Queue {
    /// Notes what a step says of its worker, which was handed `taken` tasks (Q-L33).
    pub(super) fn note_worker(&mut self, step: &Step, taken: usize, now: Timestamp) {
        if step.slots == Some(0) {
            self.workers.remove(&step.worker);
            return;
        }
        let known = self.workers.get(&step.worker).copied().filter(|seen| seen.is_fresh(now));
        let slots = match step.slots {
            Some(slots) => slots,
            None if step.credits == 0 => return,
            // Counting what it holds takes time.
            None if known.is_some_and(|seen| now.millis_since(seen.last) < limits::millis(NOTED_EVERY)) => return,
            None => step.credits - taken + self.held_by(&step.worker),
        };
        if known.is_none() {
            self.workers.retain(|_, seen| seen.is_fresh(now));
        }
        let (since, slots) = (known.map_or(now, |seen| seen.since), u64::try_from(slots).unwrap_or(u64::MAX));
        self.workers.insert(step.worker.clone(), Seen { since, last: now, slots });
    }

    /// Every worker with what it holds.
    pub(super) fn workers(&self, now: Timestamp) -> Vec<WorkerStatus> {
        let seen = |(id, seen): (&WorkerId, &Seen)| {
            (id.clone(), WorkerStatus::seen(id.clone(), seen.since, seen.last, seen.slots))
        };
        let mut workers: BTreeMap<_, _> =
            self.workers.iter().filter(|(_, seen)| seen.is_fresh(now)).map(seen).collect();
        for (_, id) in &self.leases {
            if let Some(Place::Active(lease)) = self.tasks.get(id).map(|task| &task.place) {
                let unseen = || WorkerStatus::seen(lease.worker.clone(), lease.started_at, lease.started_at, 0);
                workers.entry(lease.worker.clone()).or_insert_with(unseen).holds(*id, lease.started_at);
            }
        }
        workers.values_mut().for_each(WorkerStatus::sort);
        workers.into_values().collect()
    }

    /// How many workers there are, and how many places they have.
    pub(super) fn count_workers(&self, now: Timestamp) -> (u64, u64) {
        let fresh = self.workers.values().filter(|seen| seen.is_fresh(now));
        fresh.fold((0, 0), |(count, slots), seen| (count + 1, slots + seen.slots))
    }

    fn held_by(&self, worker: &WorkerId) -> usize {
        let is_held = |place: &Place| matches!(place, Place::Active(lease) if lease.worker == *worker);
        self.leases.iter().filter(|(_, id)| self.tasks.get(id).is_some_and(|task| is_held(&task.place))).count()
    }
}
