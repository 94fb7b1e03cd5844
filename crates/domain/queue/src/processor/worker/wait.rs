//! The step that waits for work while there is none.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Mode, Sent, Worker};
use crate::{Error, Step, StepReply, processor::pace::STEP_TASKS};

/// A step that waits until there is something to claim, beside the steps that settle and renew.
pub(super) struct Waiting {
    sent: Sent,
    /// Ends the wait: the step is made at once, and its answer must be heard, for it may have claimed something.
    hurry: CancellationToken,
    reply: BoxFuture<'static, Result<Option<StepReply>, Error>>,
}

// === impl Waiting ===

impl Waiting {
    pub(super) const fn credits(&self) -> usize {
        self.sent.credits
    }
}

/// The answer of the step that waits, or never when there is none.
pub(super) async fn answer(waiting: &mut Option<Waiting>) -> Result<Option<StepReply>, Error> {
    match waiting {
        Some(waiting) => (&mut waiting.reply).await,
        None => std::future::pending().await,
    }
}

// === impl Worker ===

impl Worker {
    pub(super) fn wants_work(&self, now: Instant) -> bool {
        self.mode == Mode::Claiming
            && self.outage.since.is_none()
            && self.wait_outage.retry_at.is_none_or(|at| at <= now)
            && self.idle() > 0
            && self.claims.is_open(now)
            && self.claims.due().is_none_or(|due| due > now)
    }

    pub(super) fn wait_for_work(&mut self, now: Instant) {
        let config = self.processor.queues.config();
        // The leases that it brings are counted from now, and none of them should have to be renewed at once.
        let longest = config.idle_wait.min(config.renew_every * 4 / 5);
        let patience = self.claims.due().map_or(longest, |due| longest.min(due - now));
        let (credits, hurry) = (self.idle().min(STEP_TASKS), CancellationToken::new());
        self.claims.waits(now);
        let worker = self.processor.config.worker_id.clone();
        let slots = Some(self.processor.config.concurrency.get());
        let step = Step { credits, slots, ..Step::new(worker, config.lease) };
        let orders = self.processor.shared.orders();
        let sent = Sent { at: now, settled: Vec::new(), renewals: Vec::new(), credits, orders };
        let (store, queue) = (Arc::clone(self.processor.queues.store()), self.processor.queue.clone());
        let told = hurry.clone();
        let reply = Box::pin(async move { store.step_when_ready(&queue, step, patience, &told).await });
        self.waiting = Some(Waiting { sent, hurry, reply });
    }

    /// The step that waits shall wait no longer.
    pub(super) fn hurry(&self) {
        if let Some(waiting) = &self.waiting {
            waiting.hurry.cancel();
        }
    }

    pub(super) fn waited(&mut self, reply: Result<Option<StepReply>, Error>) {
        let Some(Waiting { sent, .. }) = self.waiting.take() else { return };
        match reply {
            Ok(None) => self.woken(Ok(())),
            Err(error) => self.woken(Err(error)),
            Ok(Some(reply)) => {
                self.wait_outage.recovered(Instant::now());
                self.credits_sent += sent.credits;
                self.answered(sent, Ok(reply));
            }
        }
    }
}
