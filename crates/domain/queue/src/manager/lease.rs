//! Leases for workers outside this process: claim with a long poll, then settle or extend by id and fence.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};
use trackside_core::{QueueName, TaskId, Timestamp, WorkerId};

use super::{QueueManager, validate};
use crate::{
    ClaimedTask, Error, Fence, MAX_BATCH, Order, Outcome, Renewal, Renewed, Settled, Settlement, Step, StepReply,
    TaskState, metrics,
};

/// The shortest lease a remote worker may ask for; a shorter one is lengthened to it.
pub const MIN_LEASE: Duration = Duration::from_millis(100);
/// The longest lease a remote worker may ask for; a longer one is shortened to it.
const MAX_LEASE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest wait for a first task.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after a wake-up that brought nothing, so that wake-ups without work cannot keep a core busy.
const EMPTY_PAUSE: Duration = Duration::from_millis(10);

/// What a remote worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Who asks.
    pub worker_id: WorkerId,
    /// How many tasks it can take; kept within 1 and [`MAX_BATCH`].
    pub max_tasks: usize,
    /// How long the leases last, for tasks that do not ask for one of their own; the configured one by default.
    pub lease: Option<Duration>,
    /// How long to wait for a first task, at most a day; zero answers at once.
    pub wait: Duration,
}

/// A lease that was extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// When it ends now, by the store's clock.
    pub lease_expires_at: Timestamp,
    /// What the worker must do.
    pub orders: Vec<Order>,
}

// === impl QueueManager ===

impl QueueManager {
    /// Leases up to `max_tasks` tasks, waiting up to `wait` for the first one.
    ///
    /// Cancel-safe: tasks claimed for a caller that has gone are given back, and the attempt is not counted.
    ///
    /// # Errors
    /// The store's. After a timeout tasks may have been leased to nobody; they return when their leases end.
    pub async fn lease(&self, queue: &QueueName, request: LeaseRequest) -> Result<Vec<ClaimedTask>, Error> {
        self.meet(queue).await?;
        let deadline = Instant::now() + request.wait.min(MAX_WAIT);
        loop {
            let reply = self.claim(queue, &request).await?;
            self.heard(queue, &reply);
            let remaining = deadline.saturating_duration_since(Instant::now());
            if !reply.claimed.is_empty() || remaining.is_zero() {
                metrics::claimed(queue, &reply.claimed, reply.now);
                return Ok(reply.claimed);
            }
            let until_due = reply.next_due.unwrap_or(Duration::MAX).max(EMPTY_PAUSE);
            let patience = remaining.min(self.inner.config.idle_wait).min(until_due);
            let asked = Instant::now();
            self.inner.store.wait_for_work(queue, patience).await?;
            if asked.elapsed() < EMPTY_PAUSE {
                tokio::time::sleep_until((asked + EMPTY_PAUSE).min(deadline)).await;
            }
        }
    }

    /// Completes a task with the JSON text of its result. Answers the state it is in then; repeating an
    /// acknowledgement that was applied answers as the first time (Q-L4).
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when another claim replaced this one; [`Error::UnknownTask`]; [`Error::InvalidTask`] when
    /// the result is not JSON or too long; the store's errors.
    pub async fn ack(&self, id: TaskId, fence: Fence, result: Option<Bytes>) -> Result<TaskState, Error> {
        if let Some(result) = &result {
            validate::json("result", result, &self.inner.config)?;
        }
        self.settle(id, fence, Outcome::completed(result)).await
    }

    /// Reports a failed attempt. Answers [`TaskState::Failed`] when it will be tried again, [`TaskState::Dead`] when
    /// not.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn fail(&self, id: TaskId, fence: Fence, error: String, retryable: bool) -> Result<TaskState, Error> {
        self.settle(id, fence, Outcome::Failed { error, retryable, retry_after: None }).await
    }

    /// Settles a task in any way: also giving it back, or obeying an order to cancel.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn settle(&self, id: TaskId, fence: Fence, outcome: Outcome) -> Result<TaskState, Error> {
        let step = Step { settle: vec![Settlement { id, fence, outcome }], ..self.quiet_step() };
        self.at_home(id, step, |reply| match reply.settled.first() {
            Some(Settled::Applied(state)) => Some(*state),
            _ => None,
        })
        .await
    }

    /// Extends a lease to `lease` from now (the configured length by default) and brings the orders for the worker.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn extend(&self, id: TaskId, fence: Fence, lease: Option<Duration>) -> Result<Extension, Error> {
        let renewal = Renewal { id, fence, lease: self.lease_of(lease) };
        let step = Step { renew: vec![renewal], ..self.quiet_step() };
        self.at_home(id, step, |reply| match reply.renewed.first() {
            Some(Renewed::Extended { expires_at, order }) => {
                Some(Extension { lease_expires_at: *expires_at, orders: order.iter().copied().collect() })
            }
            _ => None,
        })
        .await
    }

    /// Waits for claims that are being given back because their callers went away. Call it at shutdown, when no new
    /// requests arrive.
    pub async fn close(&self) {
        self.inner.claims.close();
        self.inner.claims.wait().await;
    }

    /// Claims in a tracked task, so that a caller that stops waiting cannot leave tasks leased to nobody.
    async fn claim(&self, queue: &QueueName, request: &LeaseRequest) -> Result<StepReply, Error> {
        let worker = request.worker_id.clone();
        let credits = request.max_tasks.clamp(1, MAX_BATCH);
        let step = Step { credits, ..Step::new(worker, self.lease_of(request.lease)) };
        let (caller, answer) = oneshot::channel();
        let (manager, queue) = (self.clone(), queue.clone());
        self.inner.claims.spawn(async move {
            let worker = step.worker.clone();
            let reply = manager.inner.store.step(&queue, step).await;
            if let Err(Ok(unheard)) = caller.send(reply) {
                manager.give_back(&queue, worker, unheard.claimed).await;
            }
        });
        answer.await.unwrap_or_else(|_| Ok(nothing_claimed()))
    }

    async fn give_back(&self, queue: &QueueName, worker: WorkerId, claimed: Vec<ClaimedTask>) {
        if claimed.is_empty() {
            return;
        }
        let count = claimed.len();
        let release = |task: &ClaimedTask| Settlement { id: task.id, fence: task.fence, outcome: Outcome::Released };
        let settle = claimed.iter().map(release).collect();
        let step = Step { settle, ..Step::new(worker, self.inner.config.lease) };
        match self.inner.store.step(queue, step).await {
            Ok(_) => tracing::debug!(queue.name = %queue, task.count = count, "gave back tasks of a caller that left"),
            Err(error) => tracing::warn!(
                queue.name = %queue, task.count = count, error = &error as &dyn std::error::Error,
                "could not give back tasks of a caller that left; they return when their leases end"
            ),
        }
    }

    /// Sends a step to the queue that holds the task: those heard of that may be it, then the one that is.
    ///
    /// A queue that does not hold the task refuses the fence, so that asking a wrong one changes nothing (Q-L4).
    pub(super) async fn at_home<T>(
        &self,
        id: TaskId,
        step: Step,
        accepted: impl Fn(&StepReply) -> Option<T>,
    ) -> Result<T, Error> {
        let known = self.inner.registry.homes(id);
        for queue in &known {
            if let Some(answer) = accepted(&self.step_for_others(queue, step.clone()).await?) {
                return Ok(answer);
            }
        }
        let home = self.status(id).await?.ok_or(Error::UnknownTask(id))?.queue;
        if known.contains(&home) {
            return Err(Error::LeaseLost(id));
        }
        accepted(&self.step_for_others(&home, step).await?).ok_or(Error::LeaseLost(id))
    }

    /// A step, of whose messages to other queues the relay of this process hears.
    pub(super) async fn step(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error> {
        let reply = self.inner.store.step(queue, step).await?;
        self.heard(queue, &reply);
        Ok(reply)
    }

    /// A step on behalf of workers elsewhere, whose attempts are measured here.
    pub(super) async fn step_for_others(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error> {
        let reply = self.step(queue, step).await?;
        metrics::settled_elsewhere(queue, &reply);
        Ok(reply)
    }

    /// Notes what an answer says of messages to other queues.
    pub(crate) fn heard(&self, queue: &QueueName, reply: &StepReply) {
        if reply.has_outbox {
            self.inner.outboxes.note(queue);
        }
    }

    pub(super) fn lease_of(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.inner.config.lease, |lease| lease.clamp(MIN_LEASE, MAX_LEASE))
    }

    /// A step that claims nothing, for callers that have no worker identity of their own.
    pub(super) fn quiet_step(&self) -> Step {
        Step { tell_attempts: true, ..Step::new(self.inner.worker.clone(), self.inner.config.lease) }
    }
}

/// The answer when the claiming task ended without one, which happens only while the runtime shuts down.
fn nothing_claimed() -> StepReply {
    StepReply {
        settled: Vec::new(),
        attempts: Vec::new(),
        next: HashMap::new(),
        renewed: Vec::new(),
        claimed: Vec::new(),
        next_due: None,
        more_ready: false,
        paused: false,
        has_outbox: false,
        now: Timestamp::now(),
    }
}
