//! One queue in memory: its tasks, the indexes over them, and the only two ways in which an index changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use trackside_core::{QueueName, TaskId, Timestamp, UserId, WorkerId};

use super::{
    intake::{Keys, bytes_of},
    links::Links,
    outbox::Outbox,
    turns::Shares,
    within::Rates,
    workers::Seen,
};
use crate::{BrakeScope, Fence, NewTask, PastAttempt, Priority, QueuePolicy, TaskState, TaskStatus, limits};

/// Everything known about one queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: QueueName,
    /// Unfinished tasks. Where each one is, is in [`Task::place`]; the indexes below repeat it.
    pub(super) tasks: HashMap<TaskId, Task>,
    /// Ready tasks per level, by position: the smallest is next.
    pub(super) ready: [BTreeMap<i64, TaskId>; 4],
    /// Ready tasks per level that are shared out by tenant.
    pub(super) shared: [Shares; 4],
    pub(super) delayed: BTreeSet<(Timestamp, TaskId)>,
    /// By the time at which the lease ends.
    pub(super) leases: BTreeSet<(Timestamp, TaskId)>,
    pub(super) links: Links,
    /// Messages to other queues.
    pub(super) outbox: Outbox,
    pub(super) parked: BTreeMap<Option<UserId>, BTreeSet<TaskId>>,
    pub(super) dead: BTreeSet<(Timestamp, TaskId)>,
    pub(super) finished: HashMap<TaskId, Finished>,
    /// By the time at which the retention is over.
    pub(super) expiries: BTreeSet<(Timestamp, TaskId)>,
    /// The last change of each scope: whether it is engaged, and its revision.
    pub(super) brake: HashMap<BrakeScope, (bool, u64)>,
    pub(super) paused: bool,
    pub(super) policy: QueuePolicy,
    pub(super) rates: Rates,
    /// How many tasks of each tenant are under lease.
    pub(super) active_of: HashMap<String, usize>,
    /// The fence of the last claim.
    pub(super) last_fence: u64,
    pub(super) last_step: Option<Timestamp>,
    pub(super) grace: Option<Grace>,
    pub(super) counters: Counters,
    pub(super) keys: Keys,
    /// The tasks that hold unique keys, by the digest of the key.
    pub(super) holders: HashMap<u128, TaskId>,
    /// What the unfinished tasks take.
    pub(super) bytes: u64,
    pub(super) workers: HashMap<WorkerId, Seen>,
}

/// Leases that are spared after a stall (Q-L10).
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    /// The last step before the stall: leases that had ended by then are not spared.
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) created: u64,
    pub(super) completed: u64,
    pub(super) cancelled: u64,
    pub(super) purged: u64,
    pub(super) failed: u64,
    pub(super) retried: u64,
    pub(super) crashed: u64,
    pub(super) expired: u64,
}

/// An unfinished task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) new: NewTask,
    pub(super) enqueued_at: Timestamp,
    /// Since when it is ready, or was when it last became so; what its age is counted from.
    pub(super) ready_since: Timestamp,
    pub(super) place: Place,
    /// Failed attempts.
    pub(super) failed: u32,
    /// Leases that ended unsettled.
    pub(super) crashes: u32,
    /// When the last attempt started, and who made it.
    pub(super) last_attempt: Option<(Timestamp, WorkerId)>,
    /// The last settlement that left the task unfinished, so that its repetition is answered alike (Q-L4).
    pub(super) last_settlement: Option<(Fence, TaskState)>,
    /// Why the last attempt failed.
    pub(super) error: Option<String>,
    /// The last attempts that failed or crashed.
    pub(super) history: Vec<PastAttempt>,
    /// The order to cancel, with its reason.
    pub(super) cancel: Option<String>,
}

/// Where a task is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Ready {
        position: i64,
    },
    /// Ready, among those that are shared out by tenant.
    Shared,
    /// Ready, and about to be handed out: in no index for that moment.
    Chosen,
    Delayed {
        due: Timestamp,
    },
    Waiting {
        due: Timestamp,
    },
    Parked,
    Active(Lease),
    Dead {
        died_at: Timestamp,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) fence: Fence,
    pub(super) worker: WorkerId,
    pub(super) started_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Where a task goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// Next of its level.
    Head,
    /// Last of its level.
    Tail,
    Delayed(Timestamp),
    /// On other tasks, and then until it is due.
    Waiting(Timestamp),
    Parked,
    Active(Lease),
    Dead(Timestamp),
}

/// What is kept of a finished task.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: TaskStatus,
    /// The last settlement of it, so that its repetition is answered alike (Q-L4).
    pub(super) last_settlement: Option<(Fence, TaskState)>,
    pub(super) expires_at: Timestamp,
}

/// How a task ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) state: TaskState,
    pub(super) result: Option<Bytes>,
    pub(super) error: Option<String>,
    pub(super) at: Timestamp,
    pub(super) retention: Duration,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(name: QueueName) -> Self {
        Self {
            name,
            tasks: HashMap::new(),
            ready: Default::default(),
            shared: Default::default(),
            delayed: BTreeSet::new(),
            leases: BTreeSet::new(),
            links: Links::default(),
            outbox: Outbox::default(),
            parked: BTreeMap::new(),
            dead: BTreeSet::new(),
            finished: HashMap::new(),
            expiries: BTreeSet::new(),
            brake: HashMap::new(),
            paused: false,
            policy: QueuePolicy::default(),
            rates: Rates::default(),
            active_of: HashMap::new(),
            last_fence: 0,
            last_step: None,
            grace: None,
            counters: Counters::default(),
            keys: Keys::default(),
            holders: HashMap::new(),
            bytes: 0,
            workers: HashMap::new(),
        }
    }

    /// Moves an unfinished task. Together with [`Queue::finish`] the only way in which an index changes, so that a
    /// task is always in exactly one (Q-L2).
    pub(super) fn move_to(&mut self, id: TaskId, destination: Destination) {
        self.unindex(id);
        if matches!(destination, Destination::Active(_) | Destination::Dead(_)) {
            self.let_go(id, matches!(destination, Destination::Active(_)));
        }
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let (level, tenant) = (level(task.new.options.priority), task.new.options.tenant_id.as_ref());
        let lane = &mut self.ready[level];
        task.place = match (destination, tenant.filter(|_| self.policy.is_shared_out())) {
            (Destination::Head | Destination::Tail, Some(tenant)) => {
                self.shared[level].insert(tenant, id);
                Place::Shared
            }
            (Destination::Head, _) => {
                let position = lane.first_key_value().map_or(0, |(first, _)| first - 1);
                lane.insert(position, id);
                Place::Ready { position }
            }
            (Destination::Tail, _) => {
                let position = lane.last_key_value().map_or(0, |(last, _)| last + 1);
                lane.insert(position, id);
                Place::Ready { position }
            }
            (Destination::Delayed(due), _) => {
                self.delayed.insert((due, id));
                Place::Delayed { due }
            }
            // Its predecessors have it.
            (Destination::Waiting(due), _) => Place::Waiting { due },
            (Destination::Parked, _) => {
                self.parked.entry(task.new.options.user_id.clone()).or_default().insert(id);
                Place::Parked
            }
            (Destination::Active(lease), _) => {
                self.leases.insert((lease.expires_at, id));
                if let Some(tenant) = tenant {
                    *self.active_of.entry(tenant.clone()).or_default() += 1;
                }
                Place::Active(lease)
            }
            (Destination::Dead(died_at), _) => {
                self.dead.insert((died_at, id));
                Place::Dead { died_at }
            }
        };
        if matches!(task.place, Place::Dead { .. }) {
            self.announce(id, TaskState::Dead);
        }
    }

    /// Moves tasks to the heads of their levels so that the first of them is handed out first.
    pub(super) fn return_to_head(&mut self, ids: &[TaskId]) {
        for id in ids.iter().rev() {
            self.move_to(*id, Destination::Head);
        }
    }

    /// Ends a task: what remains of it is its status.
    pub(super) fn finish(&mut self, id: TaskId, ending: Ending) {
        let Some(status) = self.status(id, ending.at) else { return };
        self.unindex(id);
        self.let_go(id, false);
        let Some(task) = self.tasks.remove(&id) else { return };
        self.bytes = self.bytes.saturating_sub(bytes_of(&task.new));
        let last_settlement = match &task.place {
            Place::Active(lease) => Some((lease.fence, ending.state)),
            _ => task.last_settlement,
        };
        match ending.state {
            TaskState::Completed => self.counters.completed += 1,
            TaskState::Cancelled => self.counters.cancelled += 1,
            _ => self.counters.purged += 1,
        }
        let status = TaskStatus {
            state: ending.state,
            due_at: None,
            finished_at: Some(ending.at),
            result: ending.result,
            error: ending.error,
            ..status
        };
        self.announce(id, ending.state);
        let retention = task.new.options.retention.unwrap_or(ending.retention);
        let expires_at = limits::later(ending.at, retention);
        self.expiries.insert((expires_at, id));
        self.finished.insert(id, Finished { status, last_settlement, expires_at });
    }

    /// Lets go of finished tasks whose retention is over.
    pub(super) fn forget_expired(&mut self, now: Timestamp) {
        while let Some((expires_at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(expires_at, id));
            if self.finished.get(&id).is_some_and(|finished| finished.expires_at == expires_at) {
                self.finished.remove(&id);
            }
        }
        self.keys.forget_expired(now);
    }

    /// Whether tasks of this user are held back.
    pub(super) fn is_braked(&self, user: Option<&UserId>) -> bool {
        let engaged = |scope: &BrakeScope| self.brake.get(scope).is_some_and(|(engaged, _)| *engaged);
        engaged(&BrakeScope::Everyone) || user.is_some_and(|user| engaged(&BrakeScope::User(user.clone())))
    }

    pub(super) fn has_ready(&self) -> bool {
        self.ready.iter().any(|lane| !lane.is_empty()) || self.shared.iter().any(|shares| shares.len() > 0)
    }

    /// Whether a worker who asked now could be handed something.
    pub(super) fn has_work(&self, now: Timestamp) -> bool {
        !self.paused && self.has_ready() && self.opens(now).is_ok()
    }

    /// Takes a task out of the index that has it.
    pub(super) fn unindex(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (level, tenant) = (level(task.new.options.priority), task.new.options.tenant_id.as_ref());
        match &task.place {
            Place::Ready { position } => {
                self.ready[level].remove(position);
            }
            Place::Shared => {
                if let Some(tenant) = tenant {
                    self.shared[level].remove(tenant, id);
                }
            }
            Place::Delayed { due } => {
                self.delayed.remove(&(*due, id));
            }
            Place::Chosen => {}
            Place::Waiting { .. } => self.links.remove(id),
            Place::Parked => {
                if let Some(parked) = self.parked.get_mut(&task.new.options.user_id) {
                    parked.remove(&id);
                    if parked.is_empty() {
                        self.parked.remove(&task.new.options.user_id);
                    }
                }
            }
            Place::Active(lease) => {
                self.leases.remove(&(lease.expires_at, id));
                if let Some(tenant) = tenant
                    && let Some(active) = self.active_of.get_mut(tenant)
                {
                    *active -= 1;
                    if *active == 0 {
                        self.active_of.remove(tenant);
                    }
                }
            }
            Place::Dead { died_at } => {
                self.dead.remove(&(*died_at, id));
            }
        }
    }
}

/// The index of a level in [`Priority::ALL`].
pub(super) const fn level(priority: Priority) -> usize {
    match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}
