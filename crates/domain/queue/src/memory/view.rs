//! What can be asked of a queue in memory without changing it.

use std::collections::BTreeSet;

use trackside_core::{TaskId, Timestamp};

use super::queue::{Place, Queue, Task};
use crate::{BrakeChange, BrakePage, BrakeScope, MAX_BATCH, PeekedTask, QueueStats, TaskState, TaskStatus, limits};

impl Queue {
    /// Where a task is; `None` when it is unknown or its retention is over.
    pub(super) fn state(&self, id: TaskId, now: Timestamp) -> Option<TaskState> {
        match self.tasks.get(&id) {
            Some(task) => Some(task.state()),
            None => self.finished.get(&id).filter(|it| it.expires_at > now).map(|it| it.status.state),
        }
    }

    pub(super) fn status(&self, id: TaskId, now: Timestamp) -> Option<TaskStatus> {
        match self.tasks.get(&id) {
            Some(task) => Some(self.unfinished_status(task)),
            None => self.finished.get(&id).filter(|it| it.expires_at > now).map(|it| it.status.clone()),
        }
    }

    pub(super) fn peek(&self, limit: usize) -> Vec<PeekedTask> {
        let mut ids = Vec::new();
        for level in 0..self.ready.len() {
            ids.extend(self.peek_level(level, limit - ids.len()));
        }
        ids.into_iter()
            .filter_map(|id| self.tasks.get(&id))
            .map(|task| PeekedTask {
                id: Some(task.new.id),
                kind: Some(task.new.kind.clone()),
                priority: task.new.options.priority,
                enqueued_at: Some(task.enqueued_at),
                payload: task.new.payload.clone(),
            })
            .collect()
    }

    pub(super) fn stats(&self, now: Timestamp) -> QueueStats {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let heads = self.ready.iter().filter_map(|lane| lane.values().next());
        let heads = heads
            .chain(self.shared.iter().flat_map(|shares| shares.sets.values().take(16)).filter_map(BTreeSet::first));
        let (workers, slots) = self.count_workers(now);
        let oldest = heads.filter_map(|id| self.tasks.get(id)).map(|task| task.enqueued_at).min();
        QueueStats {
            ready: std::array::from_fn(|level| count(self.ready[level].len() + self.shared[level].len())),
            active: count(self.leases.len()),
            delayed: count(self.delayed.len()),
            waiting: count(self.links.waiting()),
            parked: self.parked.values().map(|ids| count(ids.len())).sum(),
            dead: count(self.dead.len()),
            oldest_age: oldest.map(|at| std::time::Duration::from_millis(now.millis_since(at))),
            paused: self.paused,
            created: self.counters.created,
            completed: self.counters.completed,
            cancelled: self.counters.cancelled,
            purged: self.counters.purged,
            failed: self.counters.failed,
            retried: self.counters.retried,
            crashed: self.counters.crashed,
            expired: self.counters.expired,
            workers,
            slots,
            bytes: self.bytes,
        }
    }

    /// In the order of revisions, which are the cursors: a brake that changes meanwhile moves towards the end.
    pub(super) fn braked(&self, cursor: u64) -> BrakePage {
        let mut brakes: Vec<BrakeChange> = self
            .brake
            .iter()
            .filter(|(_, (engaged, revision))| *engaged && (cursor == 0 || *revision > cursor))
            .map(|(scope, (engaged, revision))| BrakeChange {
                scope: scope.clone(),
                engaged: *engaged,
                revision: *revision,
            })
            .collect();
        brakes.sort_unstable_by_key(|brake| brake.revision);
        let Some(last) = brakes.get(MAX_BATCH - 1).map(|brake| brake.revision) else {
            return BrakePage { brakes, next: 0 };
        };
        // Those of one revision stay together.
        let end = brakes.partition_point(|brake| brake.revision <= last);
        let next = if end < brakes.len() { last } else { 0 };
        brakes.truncate(end);
        BrakePage { brakes, next }
    }

    pub(super) fn parked_count(&self, scope: &BrakeScope) -> u64 {
        let of = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        match scope {
            BrakeScope::User(user) => self.parked.get(&Some(user.clone())).map_or(0, |ids| of(ids.len())),
            BrakeScope::Everyone => self.parked.values().map(|ids| of(ids.len())).sum(),
        }
    }

    pub(super) fn unfinished_status(&self, task: &Task) -> TaskStatus {
        let options = &task.new.options;
        let last = task.last_attempt.clone();
        let (attempts, started_at, worker_id) = match &task.place {
            Place::Active(lease) => (task.failed + 1, Some(lease.started_at), Some(lease.worker.to_string())),
            _ => (task.failed, last.as_ref().map(|(at, _)| *at), last.map(|(_, worker)| worker.to_string())),
        };
        TaskStatus {
            id: task.new.id,
            queue: self.name.clone(),
            kind: task.new.kind.clone(),
            priority: options.priority,
            state: task.state(),
            attempts,
            max_attempts: options.max_attempts,
            enqueued_at: task.enqueued_at,
            due_at: if let Place::Delayed { due } = task.place { Some(due) } else { None },
            started_at,
            finished_at: if let Place::Dead { died_at } = task.place { Some(died_at) } else { None },
            worker_id,
            result: None,
            error: task.error.clone(),
            history: task.history.clone(),
            depends_on: options.depends_on.clone(),
            user_id: options.user_id.clone(),
            project_id: options.project_id.clone(),
            tenant_id: options.tenant_id.clone(),
            expires_at: options.expires_at.map(limits::due),
            tags: options.tags.clone(),
            correlation_id: limits::correlation(task.new.id, options.correlation_id.as_ref()),
            traceparent: options.traceparent.clone(),
        }
    }
}

impl Task {
    /// The state that its place means.
    pub(super) const fn state(&self) -> TaskState {
        match self.place {
            Place::Ready { .. } | Place::Shared | Place::Chosen => TaskState::Queued,
            Place::Delayed { .. } if self.failed > 0 => TaskState::Failed,
            Place::Delayed { .. } => TaskState::Delayed,
            Place::Waiting { .. } => TaskState::Waiting,
            Place::Parked => TaskState::Parked,
            Place::Active(_) => TaskState::Active,
            Place::Dead { .. } => TaskState::Dead,
        }
    }
}
