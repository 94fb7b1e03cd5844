//! What a processor holds: its running tasks with their leases, counted by the local clock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{StopReason, context::StopSignal};
use crate::{ClaimedTask, Fence, MAX_BATCH, Renewal, Renewed};

/// A running task.
pub(super) struct Held {
    pub(super) task: Arc<ClaimedTask>,
    pub(super) stop: StopSignal,
    /// Drops the handler at once.
    pub(super) abort: CancellationToken,
    /// The runtime's name for the attempt.
    pub(super) attempt: tokio::task::Id,
    pub(super) timeout: Duration,
    lease: LocalLease,
}

/// A lease by the local monotonic clock, counted from before the call that got it: it never ends later than at the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalLease {
    since: Instant,
    lasts: Duration,
    /// Renewed at once, for the orders that come with it.
    is_urgent: bool,
    /// The store said that it is over.
    is_lost: bool,
}

/// Running tasks by fence: a task that was lost and claimed again may be here twice.
#[derive(Default)]
pub(super) struct Ledger {
    held: HashMap<Fence, Held>,
    /// The first time at which [`Ledger::expire`] may have something to do.
    next_expiry: Option<Instant>,
    /// The first time at which a renewal is due.
    next_renewal: Option<Instant>,
}

// === impl LocalLease ===

impl LocalLease {
    pub(super) const fn new(since: Instant, lasts: Duration) -> Self {
        Self { since, lasts, is_urgent: false, is_lost: false }
    }

    /// The same lease, renewed at the next occasion.
    pub(super) const fn urgent(mut self) -> Self {
        self.is_urgent = true;
        self
    }

    /// The last quarter of a lease is for stopping: the handler is told at its start.
    pub(super) fn stop_at(&self) -> Instant {
        self.since + self.lasts - self.lasts / 4
    }

    /// The handler is dropped when a tenth is left.
    fn drop_at(&self) -> Instant {
        self.since + self.lasts - self.lasts / 10
    }

    pub(super) fn ends_at(&self) -> Instant {
        self.since + self.lasts
    }

    /// Three renewals fit into the shortest lease.
    fn renew_at(&self, every: Duration) -> Instant {
        if self.is_urgent { self.since } else { self.since + every.min(self.lasts / 3) }
    }
}

// === impl Held ===

impl Held {
    pub(super) fn new(
        task: Arc<ClaimedTask>,
        stop: StopSignal,
        abort: CancellationToken,
        attempt: tokio::task::Id,
        timeout: Duration,
        lease: LocalLease,
    ) -> Self {
        Self { task, stop, abort, attempt, timeout, lease }
    }

    pub(super) const fn lease(&self) -> LocalLease {
        self.lease
    }

    /// True when the store has said that the lease is over.
    pub(super) const fn is_lost(&self) -> bool {
        self.lease.is_lost
    }
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Adds a task. [`reschedule`](Self::reschedule) must follow.
    pub(super) fn insert(&mut self, held: Held) {
        self.held.insert(held.task.fence, held);
    }

    pub(super) fn remove(&mut self, fence: Fence) -> Option<Held> {
        self.held.remove(&fence)
    }

    /// The fence of the attempt that the runtime knows by this id.
    pub(super) fn fence_of(&self, attempt: tokio::task::Id) -> Option<Fence> {
        self.held.iter().find(|(_, held)| held.attempt == attempt).map(|(fence, _)| *fence)
    }

    pub(super) fn stop_all(&self, reason: StopReason) {
        for held in self.held.values() {
            held.stop.stop(reason);
        }
    }

    pub(super) const fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    pub(super) const fn next_renewal(&self) -> Option<Instant> {
        self.next_renewal
    }

    /// Tells handlers whose lease is about to end to stop, and drops those that did not.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|at| at > now) {
            return;
        }
        self.next_expiry = None;
        for held in self.held.values().filter(|held| !held.abort.is_cancelled()) {
            if held.lease.drop_at() <= now {
                held.abort.cancel();
            } else if held.lease.stop_at() <= now {
                if held.stop.stop(StopReason::LeaseLost) {
                    tracing::warn!(
                        queue.name = %held.task.queue, task.id = %held.task.id,
                        "lease could not be renewed; stopping the task before it ends"
                    );
                }
                self.next_expiry = earlier(self.next_expiry, held.lease.drop_at());
            } else {
                self.next_expiry = earlier(self.next_expiry, held.lease.stop_at());
            }
        }
    }

    /// The leases that are past half of their renewal interval, at most a batch, oldest first: those that are due, and
    /// those that may as well come along.
    pub(super) fn renewals(&self, now: Instant, every: Duration) -> Vec<Renewal> {
        let is_near = |lease: &LocalLease| lease.since + (lease.renew_at(every) - lease.since) / 2 <= now;
        let mut near: Vec<_> = self.held.values().filter(|held| !held.is_lost() && is_near(&held.lease)).collect();
        near.sort_unstable_by_key(|held| held.lease.since);
        let renewal = |held: &Held| Renewal { id: held.task.id, fence: held.task.fence, lease: held.lease.lasts };
        near.into_iter().take(MAX_BATCH).map(renewal).collect()
    }

    /// Notes the store's answer to a renewal that was sent at `sent_at`.
    pub(super) fn renewed(&mut self, renewal: &Renewal, answer: Renewed, sent_at: Instant) -> Option<&Held> {
        let held = self.held.get_mut(&renewal.fence)?;
        match answer {
            Renewed::Extended { .. } => held.lease = LocalLease::new(sent_at, held.lease.lasts),
            Renewed::LeaseLost => held.lease.is_lost = true,
        }
        Some(held)
    }

    /// Finds out anew when something is due. Called once per answer of the store, so that nothing else has to look
    /// through everything.
    pub(super) fn reschedule(&mut self, every: Duration) {
        let mut expiry = None;
        let mut renewal = None;
        for held in self.held.values().filter(|held| !held.is_lost()) {
            if !held.abort.is_cancelled() {
                let is_stopped = held.stop.reason() == Some(StopReason::LeaseLost);
                let next = if is_stopped { held.lease.drop_at() } else { held.lease.stop_at() };
                expiry = earlier(expiry, next);
            }
            renewal = earlier(renewal, held.lease.renew_at(every));
        }
        (self.next_expiry, self.next_renewal) = (expiry, renewal);
    }
}

fn earlier(known: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(known.map_or(other, |known| known.min(other)))
}
