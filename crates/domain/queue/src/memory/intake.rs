//! New tasks in memory: which of them stand for tasks that are there already, and the rest of them added.

use std::collections::{BTreeSet, HashMap};

use trackside_core::{TaskId, Timestamp};

use super::queue::{Destination, Place, Queue, Task};
use crate::{Config, Due, Enqueued, Error, NewTask, TaskState, idempotency, limits};

/// What idempotency keys named first, by the digest of the key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    named: HashMap<u128, Named>,
    /// By the time at which the key is forgotten.
    expiries: BTreeSet<(Timestamp, u128)>,
}

/// The task that a key named first.
#[derive(Debug, Clone, Copy)]
struct Named {
    fingerprint: u128,
    id: TaskId,
    until: Timestamp,
}

/// The task that stands for one that was handed in.
#[derive(Debug, Clone, Copy)]
struct Stand {
    id: TaskId,
    is_new: bool,
}

// === impl Queue ===

impl Queue {
    /// Adds the tasks that are not known yet; all, or none when a key is used for another request (Q-L1, Q-L17).
    pub(super) fn enqueue(
        &mut self,
        tasks: &[NewTask],
        now: Timestamp,
        config: &Config,
    ) -> Result<Vec<Enqueued>, Error> {
        let (stands, keyed) = self.plan(tasks, now, config)?;
        for named in keyed {
            self.keys.name(named);
        }
        let add = |(task, stand): (&NewTask, Stand)| {
            if stand.is_new {
                self.add(task, now);
            }
            // Nothing is kept of a task that came first under a key: it has ended.
            let state = self.state(stand.id, now).unwrap_or(TaskState::Completed);
            Enqueued { id: stand.id, state, replayed: !stand.is_new }
        };
        Ok(tasks.iter().zip(stands).map(add).collect())
    }

    /// Which task stands for each, and the keys that name one for the first time.
    fn plan(
        &self,
        tasks: &[NewTask],
        now: Timestamp,
        config: &Config,
    ) -> Result<(Vec<Stand>, Vec<(u128, Named)>), Error> {
        let (mut stands, mut keyed): (Vec<Stand>, Vec<(u128, Named)>) = (Vec::with_capacity(tasks.len()), Vec::new());
        let mut added = BTreeSet::new();
        for (index, task) in tasks.iter().enumerate() {
            let mut stand = Stand { id: task.id, is_new: false };
            if !added.contains(&task.id) && self.state(task.id, now).is_none() {
                stand.is_new = true;
                if let Some(key) = &task.options.idempotency_key {
                    let (digest, fingerprint) = (idempotency::digest(key), idempotency::fingerprint(task)?);
                    let until = limits::later(now, config.idempotency_ttl);
                    let in_call = keyed.iter().find(|(known, _)| *known == digest).map(|(_, named)| *named);
                    match in_call.or_else(|| self.keys.get(digest, now)) {
                        Some(named) if named.fingerprint != fingerprint => {
                            return Err(Error::Item { index, source: Box::new(Error::IdempotencyKeyReused) });
                        }
                        Some(named) => stand = Stand { id: named.id, is_new: false },
                        None => keyed.push((digest, Named { fingerprint, id: task.id, until })),
                    }
                }
            }
            if stand.is_new {
                added.insert(stand.id);
            }
            stands.push(stand);
        }
        Ok((stands, keyed))
    }

    fn add(&mut self, new: &NewTask, now: Timestamp) {
        let due = match new.options.due {
            Due::Now => now,
            Due::After(delay) => limits::later(now, delay),
            Due::At(at) => limits::due(at),
        };
        // The place is provisional: no index has the task yet.
        let task = Task {
            new: new.clone(),
            enqueued_at: now,
            place: Place::Parked,
            failed: 0,
            crashes: 0,
            last_attempt: None,
            last_settlement: None,
            error: None,
            cancel: None,
        };
        self.finished.remove(&new.id);
        self.tasks.insert(new.id, task);
        self.counters.created += 1;
        self.move_to(new.id, if due > now { Destination::Delayed(due) } else { Destination::Tail });
    }
}

// === impl Keys ===

impl Keys {
    /// Lets go of the keys whose time is over.
    pub(super) fn forget_expired(&mut self, now: Timestamp) {
        while let Some((until, digest)) = self.expiries.first().copied().filter(|(until, _)| *until <= now) {
            self.expiries.remove(&(until, digest));
            self.named.remove(&digest);
        }
    }

    fn get(&self, digest: u128, now: Timestamp) -> Option<Named> {
        self.named.get(&digest).copied().filter(|named| named.until > now)
    }

    fn name(&mut self, (digest, named): (u128, Named)) {
        if let Some(before) = self.named.insert(digest, named) {
            self.expiries.remove(&(before.until, digest));
        }
        self.expiries.insert((named.until, digest));
    }
}
