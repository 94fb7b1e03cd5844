//! New tasks in memory: which of them stand for tasks that are there already, and the rest of them added.

use std::collections::{BTreeSet, HashMap};

use trackside_core::{TaskId, Timestamp};

use super::queue::{Destination, Place, Queue, Task};
use crate::{Config, Due, Enqueued, Error, Intake, NewTask, TaskState, UniqueUntil, idempotency, limits};

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

/// What is to be done about the tasks of a call.
#[derive(Debug, Default)]
struct Plan {
    stands: Vec<Stand>,
    added: BTreeSet<TaskId>,
    /// Idempotency keys that name a task for the first time.
    keyed: HashMap<u128, Named>,
    /// The holders of the unique keys that were asked for.
    holders: HashMap<u128, TaskId>,
}

/// The task that stands for one that was handed in.
#[derive(Debug, Clone, Copy)]
struct Stand {
    id: TaskId,
    is_new: bool,
}

// === impl Queue ===

impl Queue {
    /// Adds the tasks that are not known yet; all, or none when a key is used for another request or there is
    /// no room (Q-L1, Q-L17, Q-L20).
    pub(super) fn enqueue(
        &mut self,
        tasks: &[NewTask],
        intake: Intake,
        now: Timestamp,
        config: &Config,
    ) -> Result<Vec<Enqueued>, Error> {
        let plan = self.plan(tasks, now, config)?;
        let tasks = with_stands(tasks, &plan.stands);
        self.check_predecessors(&tasks, &plan.stands, now)?;
        let fresh = || tasks.iter().zip(&plan.stands).filter(|(_, stand)| stand.is_new).map(|(task, _)| task);
        let count = fresh().count();
        if count > 0 && self.is_full(count + intake.more_to_come, fresh().map(bytes_of).sum()) {
            return Err(Error::QueueFull { retry_after: limits::FULL_RETRY_AFTER });
        }
        let mut answers = self.apply(&tasks, plan, now);
        self.resolve(now, config);
        for answer in answers.iter_mut().filter(|answer| !answer.replayed) {
            answer.state = self.state(answer.id, now).unwrap_or(answer.state);
        }
        Ok(answers)
    }

    /// Adds tasks that are refused neither for want of room nor for what they wait for (Q-L23).
    pub(super) fn take_in(
        &mut self,
        tasks: &[NewTask],
        now: Timestamp,
        config: &Config,
    ) -> Result<Vec<Enqueued>, Error> {
        let plan = self.plan(tasks, now, config)?;
        let tasks = with_stands(tasks, &plan.stands);
        Ok(self.apply(&tasks, plan, now))
    }

    fn apply(&mut self, tasks: &[NewTask], plan: Plan, now: Timestamp) -> Vec<Enqueued> {
        let Plan { stands, keyed, holders, .. } = plan;
        for named in keyed {
            self.keys.name(named);
        }
        self.holders.extend(holders);
        let add = |(task, stand): (&NewTask, Stand)| {
            if stand.is_new {
                self.add(task, now);
            }
            // Nothing is kept of a task that came first under a key: it has ended.
            let state = self.state(stand.id, now).unwrap_or(TaskState::Completed);
            Enqueued { id: stand.id, state, replayed: !stand.is_new }
        };
        tasks.iter().zip(stands).map(add).collect()
    }

    /// What is to be done about each task.
    fn plan(&self, tasks: &[NewTask], now: Timestamp, config: &Config) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        for (index, task) in tasks.iter().enumerate() {
            let is_known = plan.added.contains(&task.id) || self.state(task.id, now).is_some();
            let first = match is_known {
                true => Some(task.id),
                false => self.first(&mut plan, task, now, config).map_err(|error| error.of_item(index))?,
            };
            if first.is_none() {
                plan.added.insert(task.id);
            }
            plan.stands.push(Stand { id: first.unwrap_or(task.id), is_new: first.is_none() });
        }
        Ok(plan)
    }

    /// The task that came first under one of the keys of this one, if any did.
    fn first(&self, plan: &mut Plan, task: &NewTask, now: Timestamp, config: &Config) -> Result<Option<TaskId>, Error> {
        let key = task.options.idempotency_key.as_deref().map(idempotency::digest);
        let fingerprint = if key.is_some() { idempotency::fingerprint(task)? } else { 0 };
        if let Some(digest) = key {
            match plan.keyed.get(&digest).copied().or_else(|| self.keys.get(digest, now)) {
                Some(named) if named.fingerprint != fingerprint => {
                    return Err(Error::IdempotencyKeyReused(named.id));
                }
                Some(named) => return Ok(Some(named.id)),
                None => {}
            }
        }
        let unique = task.options.unique.as_ref().map(|unique| idempotency::digest(&unique.key));
        let holder = unique.and_then(|digest| plan.holders.get(&digest).or_else(|| self.holders.get(&digest)).copied());
        if let Some(digest) = unique {
            plan.holders.insert(digest, holder.unwrap_or(task.id));
        }
        if let Some(digest) = key {
            let (id, until) = (holder.unwrap_or(task.id), limits::later(now, config.idempotency_ttl));
            plan.keyed.insert(digest, Named { fingerprint, id, until });
        }
        Ok(holder)
    }

    /// The unique key of a task becomes free, if the task holds one: when it starts, only one that is held until then.
    pub(super) fn let_go(&mut self, id: TaskId, is_start: bool) {
        let unique = self.tasks.get(&id).and_then(|task| task.new.options.unique.as_ref());
        let Some(unique) = unique.filter(|unique| !is_start || unique.until == UniqueUntil::Started) else { return };
        let digest = idempotency::digest(&unique.key);
        if self.holders.get(&digest) == Some(&id) {
            self.holders.remove(&digest);
        }
    }

    /// Whether there is no room for so many more tasks and bytes.
    fn is_full(&self, tasks: usize, bytes: u64) -> bool {
        let unfinished = u64::try_from(self.tasks.len() - self.dead.len() + tasks).unwrap_or(u64::MAX);
        self.policy.max_depth.is_some_and(|most| unfinished > most)
            || self.policy.max_bytes.is_some_and(|most| self.bytes.saturating_add(bytes) > most)
    }

    /// Refuses a new task that is to wait for one of which nothing is known.
    fn check_predecessors(&self, tasks: &[NewTask], stands: &[Stand], now: Timestamp) -> Result<(), Error> {
        let mut before = BTreeSet::new();
        for (index, (task, stand)) in tasks.iter().zip(stands).enumerate() {
            for predecessor in task.options.depends_on.iter().filter(|_| stand.is_new) {
                if !before.contains(&predecessor.id) && !self.knows(predecessor, now) {
                    return Err(Error::UnknownPredecessor(predecessor.id).of_item(index));
                }
            }
            before.insert(stand.id);
        }
        Ok(())
    }

    /// The task that holds a unique key.
    pub(super) fn holder(&self, digest: u128) -> Option<TaskId> {
        self.holders.get(&digest).copied()
    }

    fn add(&mut self, new: &NewTask, now: Timestamp) {
        self.bytes += bytes_of(new);
        let due = match new.options.due {
            Due::Now => now,
            Due::After(delay) => limits::later(now, delay),
            Due::At(at) => limits::due(at),
        };
        // The place is provisional: no index has the task yet.
        let task = Task {
            new: new.clone(),
            enqueued_at: now,
            ready_since: now,
            place: Place::Parked,
            failed: 0,
            crashes: 0,
            last_attempt: None,
            last_settlement: None,
            error: None,
            history: Vec::new(),
            cancel: None,
        };
        self.finished.remove(&new.id);
        self.tasks.insert(new.id, task);
        self.counters.created += 1;
        let destination = match self.link(new, now) {
            true => Destination::Waiting(due),
            false if due > now => Destination::Delayed(due),
            false => Destination::Tail,
        };
        self.move_to(new.id, destination);
    }
}

/// The tasks, waiting for what stands for those that they name.
fn with_stands(tasks: &[NewTask], stands: &[Stand]) -> Vec<NewTask> {
    let (mut before, mut tasks) = (HashMap::new(), tasks.to_vec());
    for (task, stand) in tasks.iter_mut().zip(stands) {
        for predecessor in &mut task.options.depends_on {
            predecessor.id = before.get(&predecessor.id).copied().unwrap_or(predecessor.id);
        }
        before.entry(task.id).or_insert(stand.id);
    }
    tasks
}

/// About what a task takes, as a store that writes it down would count.
pub(super) fn bytes_of(task: &NewTask) -> u64 {
    const OVERHEAD: usize = 100;
    u64::try_from(OVERHEAD + task.kind.len() + task.payload.len()).unwrap_or(u64::MAX)
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
