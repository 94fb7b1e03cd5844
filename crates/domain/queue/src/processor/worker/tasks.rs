//! A task in the hands of the worker: how it starts, and what is left when it has ended.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinError, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    super::{
        StopReason, TaskContext, TaskEvent,
        attempt::{Attempt, Ended, Verdict, panic_message},
        context::StopSignal,
        ledger::{Held, LocalLease},
        settle::Unsettled,
    },
    Mode, Worker,
};
use crate::{ClaimedTask, Outcome, TaskFailure, manager::check_json, metrics};

// === impl Worker ===

impl Worker {
    pub(super) fn start(&mut self, task: Arc<ClaimedTask>, lease: LocalLease, orders_before: u64, now: Instant) {
        let refusal = if self.mode != Mode::Claiming {
            Some(Some(StopReason::ShuttingDown))
        } else if lease.stop_at() <= now {
            Some(Some(StopReason::LeaseLost))
        } else if self.processor.gate.as_ref().is_some_and(|gate| !gate.may_start(&task)) {
            self.claims.refused(now);
            Some(None)
        } else {
            None
        };
        if let Some(stop) = refusal {
            let (outcome, lease_ends) = (Outcome::Released, lease.ends_at());
            self.outbox.push(Unsettled { task, outcome, stop, elapsed: Duration::ZERO, lease_ends }, now);
            return;
        }
        let (stop, abort) = (StopSignal::default(), CancellationToken::new());
        let config = &self.processor.config;
        let timeout = task.timeout.unwrap_or(config.task_timeout);
        self.processor.shared.insert(Arc::clone(&task), stop.clone());
        // An order that came while the claim was on its way did not find the task; the renewal will bring it.
        let lease = if self.processor.shared.orders() == orders_before { lease } else { lease.urgent() };
        let attempt = Attempt {
            handler: self.processor.handlers.find(&task.kind),
            context: TaskContext::new(Arc::clone(&task), stop.clone(), self.processor.progress.clone())
                .within(self.processor.queues.clone()),
            task: Arc::clone(&task),
            stop: stop.clone(),
            abort: abort.clone(),
            timeout,
            grace: config.stop_grace,
        };
        let span = tracing::info_span!(
            "task", queue.name = %task.queue, task.id = %task.id, task.kind, task.attempt,
            correlation.id = %task.correlation_id
        );
        let attempt = self.attempts.spawn(attempt.run().instrument(span)).id();
        self.tell(&TaskEvent::Started { task: Arc::clone(&task) });
        self.ledger.insert(Held::new(task, stop, abort, attempt, timeout, lease));
    }

    pub(super) fn ended(&mut self, ended: Result<Ended, JoinError>) {
        let ended = match ended {
            Ok(ended) => ended,
            // The handler's own panics are caught inside the attempt; this one came from dropping it.
            Err(error) => {
                let Some(fence) = self.ledger.fence_of(error.id()) else { return };
                let verdict = match error.try_into_panic() {
                    Ok(panic) => Verdict::Panicked(panic_message(&*panic)),
                    Err(_) => Verdict::Abandoned,
                };
                Ended { fence, verdict, next: Vec::new(), elapsed: Duration::ZERO }
            }
        };
        self.processor.shared.remove(ended.fence);
        let Some(held) = self.ledger.remove(ended.fence) else { return };
        let stop = held.stop.reason();
        metrics::processed(&held.task, ended.elapsed, ended.verdict.error_type(stop));
        if held.is_lost() {
            metrics::lease_lost(&held.task.queue);
            tracing::warn!(
                queue.name = %held.task.queue, task.id = %held.task.id, task.attempt = held.task.attempt,
                "lease lost; the outcome of this attempt does not count"
            );
            self.tell(&TaskEvent::LeaseLost { task: held.task });
            return;
        }
        let verdict = self.check_result(ended.verdict);
        let outcome = verdict.outcome(stop, held.timeout, ended.next);
        let (lease_ends, elapsed) = (held.lease().ends_at(), ended.elapsed);
        self.outbox.push(Unsettled { task: held.task, outcome, stop, elapsed, lease_ends }, Instant::now());
    }

    /// A result that no store can keep is a permanent failure: the work was done, and would be done again in vain.
    fn check_result(&self, verdict: Verdict) -> Verdict {
        if let Verdict::Returned(Ok(Some(result))) = &verdict
            && let Err(error) = check_json("result", result, self.processor.queues.config())
        {
            return Verdict::Returned(Err(TaskFailure::permanent(error)));
        }
        verdict
    }

    fn tell(&self, event: &TaskEvent) {
        for observer in &self.processor.observers {
            observer.on(event);
        }
    }
}
