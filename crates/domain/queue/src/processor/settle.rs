//! Settlements on their way to the store, and what is said when they have arrived.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{StopReason, TaskEvent, TaskObserver};
use crate::{ClaimedTask, Outcome, Settled, Settlement, TaskState, metrics};

/// What became of a task and is not known to have reached the store yet.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) task: Arc<ClaimedTask>,
    pub(super) outcome: Outcome,
    /// Why the handler was told to stop, if it was.
    pub(super) stop: Option<StopReason>,
    /// How long the handler ran.
    pub(super) elapsed: Duration,
    /// When the lease ends, unless renewed; no use in trying for long after that.
    pub(super) lease_ends: Instant,
}

/// Settlements that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Unsettled>,
    /// When the first of those that wait came.
    since: Option<Instant>,
}

// === impl Unsettled ===

impl Unsettled {
    fn settlement(&self) -> Settlement {
        Settlement { id: self.task.id, fence: self.task.fence, outcome: self.outcome.clone() }
    }

    /// Tells log, metrics and observers what the store answered.
    pub(super) fn arrived(self, answer: Settled, observers: &[Arc<dyn TaskObserver>]) {
        let duration_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let task = &self.task;
        let event = match answer {
            Settled::LeaseLost => {
                metrics::lease_lost(&task.queue);
                tracing::warn!(
                    queue.name = %task.queue, task.id = %task.id, task.kind, task.attempt, duration_ms,
                    "lease lost; the outcome of this attempt does not count"
                );
                TaskEvent::LeaseLost { task: self.task }
            }
            Settled::Applied(TaskState::Queued | TaskState::Parked) => {
                tracing::info!(
                    queue.name = %task.queue, task.id = %task.id, task.kind, task.attempt, duration_ms,
                    reason = self.stop.map_or("not_started", StopReason::as_str), "task given back"
                );
                TaskEvent::Returned { task: self.task, reason: self.stop }
            }
            Settled::Applied(state) => {
                metrics::finished(&task.queue, &task.kind, state);
                let (result, error) = match self.outcome {
                    Outcome::Completed { result, .. } => (result, None),
                    Outcome::Failed { error, .. } => (None, Some(error)),
                    Outcome::Cancelled { reason } => (None, Some(reason)),
                    Outcome::Released => (None, None),
                };
                tracing::info!(
                    queue.name = %task.queue, task.id = %task.id, task.kind, task.attempt, duration_ms,
                    task.state = state.as_str(), error, "task finished"
                );
                TaskEvent::Finished { task: self.task, state, result, error, elapsed: self.elapsed }
            }
        };
        for observer in observers {
            observer.on(&event);
        }
    }
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// When the last of their leases ends.
    pub(super) fn lease_ends(&self) -> Option<Instant> {
        self.waiting.iter().map(|unsettled| unsettled.lease_ends).max()
    }

    pub(super) fn push(&mut self, unsettled: Unsettled, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting.push_back(unsettled);
    }

    /// Takes out the next batch of at most so many, with the settlements to send for it.
    pub(super) fn take(&mut self, most: usize, now: Instant) -> (Vec<Unsettled>, Vec<Settlement>) {
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(most)).collect();
        self.since = (!self.waiting.is_empty()).then_some(now);
        let settlements = batch.iter().map(Unsettled::settlement).collect();
        (batch, settlements)
    }

    /// Puts back a batch whose fate is unknown: it is sent again, before everything else (Q-L4).
    pub(super) fn put_back(&mut self, batch: Vec<Unsettled>, now: Instant) {
        if !batch.is_empty() {
            self.since.get_or_insert(now);
        }
        for unsettled in batch.into_iter().rev() {
            self.waiting.push_front(unsettled);
        }
    }
}
