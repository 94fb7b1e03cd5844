//! What the store answered, and what follows from it.

use std::sync::Arc;

use tokio::time::Instant;
use trackside_core::Timestamp;

use super::{
    super::{
        ProcessorState, StopReason,
        ledger::{Held, LocalLease},
    },
    Mode, Sent, Worker,
};
use crate::{Error, Order, Renewed, StepReply, manager::count_next, metrics};

// === impl Worker ===

impl Worker {
    pub(super) fn answered(&mut self, sent: Sent, reply: Result<StepReply, Error>) {
        let now = Instant::now();
        self.credits_sent -= sent.credits;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.outbox.put_back(sent.settled, now);
                self.failed(&error);
                return;
            }
        };
        self.succeeded();
        self.processor.queues.heard(&self.processor.queue, &reply);
        for (unsettled, answer) in sent.settled.into_iter().zip(reply.settled) {
            if let Some(enqueued) = reply.next.get(&unsettled.task.id) {
                count_next(unsettled.outcome.next(), enqueued);
            }
            unsettled.arrived(answer, &self.processor.observers);
        }
        for (renewal, answer) in sent.renewals.iter().zip(reply.renewed) {
            if let Some(held) = self.ledger.renewed(renewal, answer, sent.at) {
                obey(held, answer);
            }
        }
        if sent.credits > 0 {
            self.claims.claimed(now, reply.claimed.len(), reply.more_ready, reply.next_due);
        } else if reply.more_ready {
            self.claims.wake(now);
        }
        if reply.paused {
            self.claims.paused();
        }
        metrics::claimed(&self.processor.queue, &reply.claimed, reply.now);
        for task in reply.claimed {
            let lease = LocalLease::new(sent.at, task.lease);
            self.start(Arc::new(task), lease, sent.orders, now);
        }
        self.ledger.reschedule(self.processor.queues.config().renew_every);
        metrics::slots(&self.processor.queue, self.ledger.len(), self.free());
    }

    pub(super) fn woken(&mut self, woken: Result<(), Error>) {
        let now = Instant::now();
        match woken {
            Ok(()) => {
                self.wait_outage.recovered(now);
                self.claims.wake(now);
            }
            Err(error) => {
                let (queue, error) = (&self.processor.queue, &error as &dyn std::error::Error);
                if self.wait_outage.failed(now) {
                    tracing::warn!(queue.name = %queue, error, "waiting for work failed; asking for it from time to time");
                } else {
                    tracing::debug!(queue.name = %queue, error, "waiting for work failed again");
                }
                let retry_at = self.wait_outage.retry_at.unwrap_or(now);
                self.claims.wake_after(now, retry_at - now);
            }
        }
    }

    pub(super) fn failed(&mut self, error: &Error) {
        let queue = &self.processor.queue;
        let error = error as &dyn std::error::Error;
        if self.outage.failed(Instant::now()) {
            tracing::warn!(queue.name = %queue, task.count = self.ledger.len(), error, "queue cannot be reached");
            if self.mode == Mode::Claiming {
                let since = Timestamp::now();
                self.processor.shared.set_state(ProcessorState::Disconnected { since });
            }
        } else {
            tracing::debug!(queue.name = %queue, error, "queue still cannot be reached");
        }
    }

    pub(super) fn succeeded(&mut self) {
        let now = Instant::now();
        if let Some(lasted) = self.outage.recovered(now) {
            let duration_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(queue.name = %self.processor.queue, duration_ms, "queue reached again");
            if self.mode == Mode::Claiming {
                self.processor.shared.set_state(ProcessorState::Running);
                self.claims.wake(now);
            }
        }
    }
}

/// Passes on what the store says to the holder of a lease.
fn obey(held: &Held, answer: Renewed) {
    let reason = match answer {
        Renewed::LeaseLost => StopReason::LeaseLost,
        Renewed::Extended { order: Some(Order::Cancel), .. } => StopReason::Cancelled,
        Renewed::Extended { order: Some(Order::Pause), .. } => StopReason::Paused,
        Renewed::Extended { order: None, .. } => return,
    };
    if held.stop.stop(reason) {
        tracing::info!(
            queue.name = %held.task.queue, task.id = %held.task.id, reason = reason.as_str(), "task told to stop"
        );
    }
}
