//! A worker's round trip in memory: settle, renew, promote, reap, claim.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use trackside_core::{TaskId, Timestamp};

use super::queue::{Destination, Ending, Grace, Lease, Place, Queue};
use crate::{
    ClaimedTask, Config, EndedAttempt, Enqueued, Fence, Order, Outcome, Renewal, Renewed, Settled, Settlement, Step,
    StepReply, TaskState, limits,
    limits::{MAX_PROMOTED, MAX_REAPED},
};

/// What settlements took out of the hands of workers.
#[derive(Debug, Default)]
struct Left {
    /// Completions that were applied, by their place.
    completed: HashSet<usize>,
    released: Vec<TaskId>,
    tenants: Vec<String>,
}

impl Queue {
    pub(super) fn step(&mut self, step: &Step, now: Timestamp, config: &Config) -> StepReply {
        self.forget_expired(now);
        let (mut left, mut attempts) = (Left::default(), Vec::new());
        let settled: Vec<_> = step
            .settle
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let is_held = self.is_held(item);
                if step.tell_attempts {
                    attempts.push(self.attempt(item));
                }
                let settled = self.settle(item, now, config, &mut left);
                if is_held && settled == Settled::Applied(TaskState::Completed) {
                    left.completed.insert(at);
                }
                settled
            })
            .collect();
        self.free_places(&left.tenants);
        self.return_to_head(&left.released);
        let next = self.bring(&step.settle, &settled, &left, now, config);
        let renewed = step.renew.iter().map(|item| self.renew(item, now)).collect();
        self.promote(now);
        self.note_stall(now, config);
        let cancelled = self.reap(now, config);
        self.resolve(now, config);
        let claimed = if self.paused { Vec::new() } else { self.claim(step, now, config) };
        self.end_cancelled(&cancelled, now, config);
        self.resolve(now, config);
        self.note_worker(step, claimed.len(), now);
        let is_open = self.paused || self.opens(now).is_ok();
        StepReply {
            settled,
            attempts,
            next,
            renewed,
            claimed,
            next_due: self.next_due(now),
            more_ready: self.has_ready() && is_open,
            paused: self.paused,
            has_outbox: self.outbox.has_messages(),
            now,
        }
    }

    fn is_held(&self, item: &Settlement) -> bool {
        let place = self.tasks.get(&item.id).map(|task| &task.place);
        matches!(place, Some(Place::Active(lease)) if lease.fence == item.fence)
    }

    /// What the completions bring; of those that are repeated, where it is.
    fn bring(
        &mut self,
        settle: &[Settlement],
        settled: &[Settled],
        left: &Left,
        now: Timestamp,
        config: &Config,
    ) -> HashMap<TaskId, Vec<Enqueued>> {
        let mut brought = HashMap::new();
        for (at, (item, answer)) in settle.iter().zip(settled).enumerate() {
            if item.outcome.next().is_empty() || *answer != Settled::Applied(TaskState::Completed) {
                continue;
            }
            let enqueued = match left.completed.contains(&at) {
                true => self.enqueue_next(item, now, config),
                false => self.enqueued_next(item, now),
            };
            brought.insert(item.id, enqueued);
        }
        brought
    }

    fn settle(&mut self, item: &Settlement, now: Timestamp, config: &Config, left: &mut Left) -> Settled {
        if let Some(finished) = self.finished.get(&item.id) {
            return match finished.last_settlement {
                Some((fence, state)) if fence == item.fence => Settled::Applied(state),
                _ => Settled::LeaseLost,
            };
        }
        let Some(task) = self.tasks.get_mut(&item.id) else { return Settled::LeaseLost };
        if let Some((_, state)) = task.last_settlement.filter(|(fence, _)| *fence == item.fence) {
            return Settled::Applied(state);
        }
        let Place::Active(lease) = &task.place else { return Settled::LeaseLost };
        if lease.fence != item.fence {
            return Settled::LeaseLost;
        }
        task.last_attempt = Some((lease.started_at, lease.worker.clone()));
        left.tenants.extend(task.new.options.tenant_id.clone());
        let ending = |state, result, error| Ending { state, result, error, at: now, retention: config.retention };
        match (&item.outcome, task.cancel.clone()) {
            (Outcome::Completed { result, .. }, _) => {
                self.finish(item.id, ending(TaskState::Completed, result.clone(), None));
                Settled::Applied(TaskState::Completed)
            }
            // Only a completion is stronger than an order to cancel.
            (_, Some(reason)) => {
                self.finish(item.id, ending(TaskState::Cancelled, None, Some(reason)));
                Settled::Applied(TaskState::Cancelled)
            }
            (Outcome::Cancelled { reason }, None) => {
                self.finish(item.id, ending(TaskState::Cancelled, None, Some(limits::reason(reason).to_owned())));
                Settled::Applied(TaskState::Cancelled)
            }
            (Outcome::Failed { error, retryable, retry_after }, None) => {
                task.failed += 1;
                self.counters.failed += 1;
                task.error = Some(limits::reason(error).to_owned());
                let (started_at, worker) = (lease.started_at, lease.worker.clone());
                task.remember(task.failed, started_at, &worker, now, error);
                let retry = *retryable && task.failed < task.new.options.max_attempts.get();
                self.counters.retried += u64::from(retry);
                let state = if retry { TaskState::Failed } else { TaskState::Dead };
                task.last_settlement = Some((item.fence, state));
                let policy = || task.new.options.retry.delay(task.failed, rand::random());
                let due = limits::later(now, retry_after.unwrap_or_else(policy));
                self.move_to(item.id, if retry { Destination::Delayed(due) } else { Destination::Dead(now) });
                Settled::Applied(state)
            }
            (Outcome::Released, None) => {
                task.last_settlement = Some((item.fence, TaskState::Queued));
                left.released.push(item.id);
                Settled::Applied(TaskState::Queued)
            }
        }
    }

    /// The attempt that a settlement ends, if it ends one.
    fn attempt(&self, item: &Settlement) -> Option<EndedAttempt> {
        let task = self.tasks.get(&item.id)?;
        // A released task leaves its place only at the end of the step.
        if task.last_settlement.is_some_and(|(fence, _)| fence == item.fence) {
            return None;
        }
        match &task.place {
            Place::Active(lease) if lease.fence == item.fence => {
                Some(EndedAttempt { kind: task.new.kind.clone(), started_at: lease.started_at })
            }
            _ => None,
        }
    }

    fn renew(&mut self, item: &Renewal, now: Timestamp) -> Renewed {
        let Some(task) = self.tasks.get(&item.id) else { return Renewed::LeaseLost };
        let Place::Active(lease) = &task.place else { return Renewed::LeaseLost };
        if lease.fence != item.fence {
            return Renewed::LeaseLost;
        }
        let order = if task.cancel.is_some() {
            Some(Order::Cancel)
        } else {
            self.is_braked(task.new.options.user_id.as_ref()).then_some(Order::Pause)
        };
        let expires_at = limits::later(now, item.lease);
        let lease = Lease { expires_at, ..lease.clone() };
        self.move_to(item.id, Destination::Active(lease));
        Renewed::Extended { expires_at, order }
    }

    /// Delayed tasks that are due go to the tail of their level.
    fn promote(&mut self, now: Timestamp) {
        let due: Vec<TaskId> =
            self.delayed.iter().take_while(|(due, _)| *due <= now).take(MAX_PROMOTED).map(|(_, id)| *id).collect();
        for id in due {
            self.make_ready(id, now);
        }
    }

    /// When everybody was away for long, the leases that ended meanwhile are given time to be renewed (Q-L10).
    fn note_stall(&mut self, now: Timestamp, config: &Config) {
        let threshold = limits::millis(config.stall_threshold);
        let Some(since) = self.last_step else {
            self.last_step = Some(now);
            return;
        };
        let quiet = now.millis_since(since);
        if quiet > threshold {
            let until = limits::later(now, config.stall_grace);
            self.grace = Some(Grace { since, until });
        }
        // Noted now and then, as precisely as every store does.
        if quiet.saturating_mul(limits::STEP_NOTES) > threshold {
            self.last_step = Some(now);
        }
    }

    /// When a lease that ends at `expires_at` counts as a crash.
    fn reap_time(&self, expires_at: Timestamp) -> Timestamp {
        match self.grace {
            Some(grace) if expires_at > grace.since => expires_at.max(grace.until),
            _ => expires_at,
        }
    }

    /// Tasks whose lease ended go back to the head of their level, or to the dead letters (Q-L9).
    /// Those that carry an order to cancel are answered, for the end of the step.
    fn reap(&mut self, now: Timestamp, config: &Config) -> Vec<TaskId> {
        let ended: Vec<TaskId> = self
            .leases
            .iter()
            .take_while(|(expires_at, _)| self.reap_time(*expires_at) <= now)
            .take(MAX_REAPED)
            .map(|(_, id)| *id)
            .collect();
        let (mut returned, mut tenants, mut cancelled) = (Vec::new(), Vec::new(), Vec::new());
        for id in ended {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if let Place::Active(lease) = &task.place {
                task.last_attempt = Some((lease.started_at, lease.worker.clone()));
            }
            if task.cancel.is_some() {
                cancelled.push(id);
                continue;
            }
            tenants.extend(task.new.options.tenant_id.clone());
            task.crashes += 1;
            self.counters.crashed += 1;
            if let Some((started_at, worker)) = task.last_attempt.clone() {
                task.remember(task.failed + 1, started_at, &worker, now, limits::LEASE_ENDED);
            }
            if task.crashes >= config.max_crashes.get() {
                task.error = Some(limits::crash_loop(task.crashes));
                self.move_to(id, Destination::Dead(now));
            } else {
                returned.push(id);
            }
        }
        self.free_places(&tenants);
        self.return_to_head(&returned);
        cancelled
    }

    /// Tasks whose lease ended while they carried an order to cancel.
    fn end_cancelled(&mut self, ids: &[TaskId], now: Timestamp, config: &Config) {
        let mut tenants = Vec::new();
        for id in ids {
            let Some(task) = self.tasks.get(id) else { continue };
            tenants.extend(task.new.options.tenant_id.clone());
            let (state, error, retention) = (TaskState::Cancelled, task.cancel.clone(), config.retention);
            self.finish(*id, Ending { state, result: None, error, at: now, retention });
        }
        self.free_places(&tenants);
    }

    /// Hands out a task, unless it expired or its user is braked (Q-L11, Q-L16).
    pub(super) fn claim_one(
        &mut self,
        id: TaskId,
        step: &Step,
        now: Timestamp,
        config: &Config,
    ) -> Option<ClaimedTask> {
        let options = &self.tasks.get(&id)?.new.options;
        if options.expires_at.is_some_and(|at| limits::due(at) <= now) {
            let (state, error, retention) = (TaskState::Cancelled, Some(limits::EXPIRED.to_owned()), config.retention);
            self.finish(id, Ending { state, result: None, error, at: now, retention });
            self.counters.expired += 1;
            return None;
        }
        let user = options.user_id.clone();
        if self.is_braked(user.as_ref()) {
            self.move_to(id, Destination::Parked);
            return None;
        }
        self.last_fence += 1;
        let fence = Fence(self.last_fence);
        let task = self.tasks.get(&id)?;
        let options = &task.new.options;
        let lease = options.lease.unwrap_or(step.lease);
        let expires_at = limits::later(now, lease);
        let claimed = ClaimedTask {
            id,
            queue: self.name.clone(),
            kind: task.new.kind.clone(),
            payload: task.new.payload.clone(),
            priority: options.priority,
            attempt: task.failed + 1,
            max_attempts: options.max_attempts,
            crashes: task.crashes,
            fence,
            lease_expires_at: expires_at,
            lease,
            enqueued_at: task.enqueued_at,
            timeout: options.timeout,
            depends_on: options.depends_on.clone(),
            user_id: options.user_id.clone(),
            project_id: options.project_id.clone(),
            tenant_id: options.tenant_id.clone(),
            correlation_id: limits::correlation(id, options.correlation_id.as_ref()),
            traceparent: options.traceparent.clone(),
        };
        let lease = Lease { fence, worker: step.worker.clone(), started_at: now, expires_at };
        self.move_to(id, Destination::Active(lease));
        Some(claimed)
    }

    fn next_due(&self, now: Timestamp) -> Option<Duration> {
        let delayed = self.delayed.first().map(|(due, _)| *due);
        let lease = self.leases.first().map(|(expires_at, _)| self.reap_time(*expires_at));
        let limited = !self.paused && self.has_ready();
        let free = limited.then(|| self.opens(now).err().flatten()).flatten();
        let next = delayed.into_iter().chain(lease).chain(free).min()?;
        Some(Duration::from_millis(next.millis_since(now)))
    }
}
