//! What the laws are written with: one queue of a harness, and the few operations on it said in a line each.

use std::time::Duration;

use bytes::Bytes;
use trackside_core::{QueueName, TaskId, UserId, WorkerId};

use super::Harness;
use crate::{
    BrakeChange, BrakeScope, ClaimedTask, DeadRef, Enqueued, Error, Fence, NewTask, Outcome, PastAttempt, Priority,
    QueueAudit, QueueStats, QueueStore, Renewal, Renewed, RetryPolicy, Settled, Settlement, Step, StepReply,
    TaskOptions, TaskState, TaskStatus, WorkerStatus,
};

/// One queue of a harness, and one worker.
pub(super) struct Driver<'h, H> {
    pub(super) harness: &'h H,
    pub(super) queue: QueueName,
    pub(super) worker: WorkerId,
}

impl<'h, H: Harness> Driver<'h, H> {
    pub(super) fn new(harness: &'h H) -> Self {
        Self { harness, queue: harness.queue(), worker: WorkerId::generate("law") }
    }

    /// Somebody else at the same queue.
    pub(super) fn another_worker(&self) -> Self {
        Self { harness: self.harness, queue: self.queue.clone(), worker: WorkerId::generate("law") }
    }

    pub(super) fn store(&self) -> &'h dyn QueueStore {
        self.harness.store()
    }

    pub(super) fn lease(&self) -> Duration {
        self.harness.config().lease
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.harness.advance(by).await;
    }

    /// Lets time pass with a step now and then, as it does where workers live.
    pub(super) async fn advance_with_steps(&self, by: Duration) -> Result<(), Error> {
        let stride = self.harness.config().stall_threshold / 2;
        let mut left = by;
        while !left.is_zero() {
            let next = left.min(stride);
            self.advance(next).await;
            left -= next;
            self.claim(0).await?;
        }
        Ok(())
    }

    // --- tasks ---

    pub(super) fn task(&self) -> NewTask {
        self.task_with(TaskOptions { retry: RetryPolicy::Fixed { delay_ms: 60_000 }, ..TaskOptions::default() })
    }

    pub(super) fn task_with(&self, options: TaskOptions) -> NewTask {
        let payload = Bytes::from_static(br#"{"text": "law", "list": [], "none": null, "big": 12345678901234567}"#);
        NewTask { id: TaskId::generate(&self.queue), kind: "law.test".into(), payload, options }
    }

    pub(super) fn task_of(&self, user: &UserId) -> NewTask {
        let mut task = self.task();
        task.options.user_id = Some(user.clone());
        task
    }

    pub(super) fn tasks(&self, count: usize) -> Vec<NewTask> {
        (0..count).map(|_| self.task()).collect()
    }

    pub(super) fn task_at(&self, priority: Priority) -> NewTask {
        let mut task = self.task();
        task.options.priority = priority;
        task
    }

    // --- operations ---

    pub(super) async fn enqueue(&self, tasks: &[NewTask]) -> Result<Vec<TaskState>, Error> {
        Ok(self.offer(tasks).await?.into_iter().map(|answer| answer.state).collect())
    }

    pub(super) async fn offer(&self, tasks: &[NewTask]) -> Result<Vec<Enqueued>, Error> {
        self.store().enqueue(&self.queue, tasks).await
    }

    pub(super) async fn enqueue_one(&self, task: &NewTask) -> Result<TaskState, Error> {
        Ok(self.enqueue(std::slice::from_ref(task)).await?[0])
    }

    /// Enqueues one task and claims it.
    pub(super) async fn claimed(&self, task: NewTask) -> Result<ClaimedTask, Error> {
        let id = task.id;
        self.enqueue(&[task]).await?;
        let mut reply = self.claim(1).await?;
        assert_eq!(ids(&reply.claimed), [id], "the task that was just enqueued");
        Ok(reply.claimed.remove(0))
    }

    pub(super) fn step(&self) -> Step {
        Step::new(self.worker.clone(), self.lease())
    }

    pub(super) async fn claim(&self, credits: usize) -> Result<StepReply, Error> {
        self.store().step(&self.queue, Step { credits, ..self.step() }).await
    }

    pub(super) async fn claim_ids(&self, credits: usize) -> Result<Vec<TaskId>, Error> {
        Ok(ids(&self.claim(credits).await?.claimed))
    }

    pub(super) async fn settle(&self, id: TaskId, fence: Fence, outcome: Outcome) -> Result<Settled, Error> {
        Ok(self.settle_all(vec![Settlement { id, fence, outcome }]).await?[0])
    }

    pub(super) async fn settle_all(&self, settle: Vec<Settlement>) -> Result<Vec<Settled>, Error> {
        let given = settle.len();
        let reply = self.store().step(&self.queue, Step { settle, ..self.step() }).await?;
        assert_eq!(reply.settled.len(), given, "one answer for each settlement");
        Ok(reply.settled)
    }

    pub(super) async fn renew(&self, task: &ClaimedTask) -> Result<Renewed, Error> {
        let renew = vec![Renewal { id: task.id, fence: task.fence, lease: self.lease() }];
        let reply = self.store().step(&self.queue, Step { renew, ..self.step() }).await?;
        assert_eq!(reply.renewed.len(), 1, "one answer for each renewal");
        Ok(reply.renewed[0])
    }

    pub(super) async fn brake(&self, scope: BrakeScope, engaged: bool, revision: u64) -> Result<(), Error> {
        self.store().set_brake(&self.queue, &BrakeChange { scope, engaged, revision }).await
    }

    // --- questions ---

    pub(super) async fn status(&self, id: TaskId) -> Result<Option<TaskStatus>, Error> {
        self.store().status(&self.queue, id).await
    }

    pub(super) async fn state(&self, id: TaskId) -> Result<Option<TaskState>, Error> {
        Ok(self.status(id).await?.map(|status| status.state))
    }

    pub(super) async fn history(&self, id: TaskId) -> Result<Vec<PastAttempt>, Error> {
        Ok(self.status(id).await?.map(|status| status.history).unwrap_or_default())
    }

    pub(super) async fn stats(&self) -> Result<QueueStats, Error> {
        self.store().stats(&self.queue).await
    }

    pub(super) async fn workers(&self) -> Result<Vec<WorkerStatus>, Error> {
        self.store().workers(&self.queue).await
    }

    /// The audit, which must be balanced.
    pub(super) async fn audit(&self) -> Result<QueueAudit, Error> {
        let audit = self.store().audit(&self.queue).await?;
        assert!(audit.is_balanced(), "{audit:?}");
        Ok(audit)
    }
}

// === outcomes and ids ===

pub(super) fn completed() -> Outcome {
    Outcome::completed(Some(Bytes::from_static(br#"{"answer":42}"#)))
}

pub(super) fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.into(), retryable: true, retry_after: None }
}

pub(super) fn failed_for_good(error: &str) -> Outcome {
    Outcome::Failed { error: error.into(), retryable: false, retry_after: None }
}

pub(super) fn cancelled(reason: &str) -> Outcome {
    Outcome::Cancelled { reason: reason.into() }
}

pub(super) fn settlement(task: &ClaimedTask, outcome: Outcome) -> Settlement {
    Settlement { id: task.id, fence: task.fence, outcome }
}

pub(super) fn ids(claimed: &[ClaimedTask]) -> Vec<TaskId> {
    claimed.iter().map(|task| task.id).collect()
}

pub(super) fn ids_of(tasks: &[NewTask]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

pub(super) fn user(name: &str) -> UserId {
    match name.parse() {
        Ok(user) => user,
        Err(invalid) => unreachable!("{name}: {invalid}"),
    }
}

/// Dead letters meant by their ids alone.
pub(super) fn refs(ids: &[TaskId]) -> Vec<DeadRef> {
    ids.iter().copied().map(Into::into).collect()
}
