//! The tasks that a completion brings: enqueued with it, or not at all (Q-L23).

use std::collections::HashMap;

use bytes::Bytes;
use trackside_core::{CorrelationId, QueueName, TaskId, Timestamp, TraceParent, UserId};

use super::{QueueManager, validate};
use crate::{
    ClaimedTask, Config, Enqueued, Error, Fence, MAX_BATCH, NewTask, Outcome, Settled, Settlement, Step, StepReply,
    TaskState, TaskStatus, idempotency, metrics,
};

/// Most tasks that one completion may bring.
pub const MAX_NEXT: usize = 64;

/// A completion that was applied, and what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Where the task is now.
    pub state: TaskState,
    /// What it brought, in the order in which it was given.
    pub enqueued: Vec<NextTask>,
}

/// A task that a completion brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTask {
    /// Its queue.
    pub queue: QueueName,
    /// Where it is there.
    pub task: Enqueued,
}

/// The claim that next tasks follow from.
#[derive(Debug)]
pub(crate) struct Parent {
    id: TaskId,
    fence: Fence,
    started_at: Timestamp,
    user_id: Option<UserId>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    correlation_id: CorrelationId,
    traceparent: Option<TraceParent>,
}

// === impl QueueManager ===

impl QueueManager {
    /// Completes a task and enqueues what follows in the same step: both happen, or neither (Q-L23).
    ///
    /// The ids that the next tasks came with are replaced: they follow from the claim and the place of each, so that a
    /// repetition enqueues nothing twice and answers the same tasks. What a task does not say of user, project, tenant,
    /// correlation and trace it has from the one that brings it. It may wait for those before it, by the ids that they
    /// came with, and for any other task.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and nothing is settled or enqueued; [`Error::BatchTooLarge`] for more than [`MAX_NEXT`] tasks
    /// or [`MAX_BATCH`] dependencies; [`Error::Item`] when one of them is invalid.
    pub async fn ack_and_enqueue(
        &self,
        id: TaskId,
        fence: Fence,
        result: Option<Bytes>,
        next: Vec<(QueueName, NewTask)>,
    ) -> Result<Acknowledged, Error> {
        if let Some(result) = &result {
            validate::json("result", result, &self.inner.config)?;
        }
        let next = self.next_tasks(id, fence, next).await?;
        let settlement = Settlement { id, fence, outcome: Outcome::Completed { result, next } };
        let step = Step { settle: vec![settlement.clone()], ..self.quiet_step() };
        let acknowledged = |reply: &StepReply| match reply.settled.first() {
            Some(Settled::Applied(state)) => Some(Acknowledged::of(*state, &settlement, reply)),
            _ => None,
        };
        let acknowledged = self.at_home(id, step, acknowledged).await?;
        count(settlement.outcome.next(), acknowledged.enqueued.iter().map(|next| &next.task));
        Ok(acknowledged)
    }

    /// Makes tasks ready to be brought by the completion of another one, as
    /// [`ack_and_enqueue`](Self::ack_and_enqueue) does: the answer is the `next` of an [`Outcome::Completed`].
    ///
    /// # Errors
    /// As there.
    pub async fn next_tasks(
        &self,
        id: TaskId,
        fence: Fence,
        next: Vec<(QueueName, NewTask)>,
    ) -> Result<Vec<(QueueName, NewTask)>, Error> {
        if next.is_empty() {
            return Ok(next);
        }
        let status = self.status(id).await?.ok_or(Error::UnknownTask(id))?;
        // What a completion waits for must be known; its repetition comes too late to be told.
        let is_open = status.state == TaskState::Active;
        let parent = Parent::of_status(status, fence).ok_or(Error::LeaseLost(id))?;
        let homes = self.homes_of_others(&next, is_open).await?;
        let mut made: Vec<(QueueName, NewTask)> = Vec::with_capacity(next.len());
        let mut given = HashMap::new();
        for (index, (queue, mut task)) in next.into_iter().enumerate() {
            let came_with = task.id;
            for predecessor in &mut task.options.depends_on {
                if let Some(id) = given.get(&predecessor.id) {
                    predecessor.id = *id;
                } else if predecessor.queue.is_none() {
                    predecessor.queue = homes.get(&predecessor.id).filter(|home| **home != queue).cloned();
                }
            }
            let task = parent.next(&made, &queue, task, self.config()).map_err(|error| error.of_item(index))?;
            self.meet(&queue).await?;
            given.insert(came_with, task.id);
            made.push((queue, task));
        }
        Ok(made)
    }

    /// The queues of those predecessors that are not among the tasks themselves. One of which nothing is known is
    /// refused while there is time for it.
    async fn homes_of_others(
        &self,
        next: &[(QueueName, NewTask)],
        is_open: bool,
    ) -> Result<HashMap<TaskId, QueueName>, Error> {
        let (mut before, mut wanted) = (Vec::with_capacity(next.len()), HashMap::new());
        for (index, (_, task)) in next.iter().enumerate() {
            for it in task.options.depends_on.iter().filter(|it| it.queue.is_none() && !before.contains(&it.id)) {
                wanted.entry(it.id).or_insert(index);
            }
            before.push(task.id);
        }
        self.find_homes(wanted, is_open).await
    }
}

// === impl Acknowledged ===

impl Acknowledged {
    /// What a step answered to a settlement that it applied, or had applied before.
    pub(super) fn of(state: TaskState, settlement: &Settlement, reply: &StepReply) -> Self {
        let answers = reply.next.get(&settlement.id).map_or(&[][..], Vec::as_slice);
        let queues = settlement.outcome.next().iter().map(|(queue, _)| queue.clone());
        let enqueued = queues.zip(answers).map(|(queue, task)| NextTask { queue, task: *task }).collect();
        Self { state, enqueued }
    }
}

/// Counts what a completion has brought.
pub(crate) fn count<'n>(next: &[(QueueName, NewTask)], enqueued: impl IntoIterator<Item = &'n Enqueued>) {
    for ((queue, task), enqueued) in next.iter().zip(enqueued) {
        metrics::enqueued(queue, std::slice::from_ref(task), std::slice::from_ref(enqueued));
    }
}

// === impl Parent ===

impl Parent {
    pub(crate) fn of_claim(task: &ClaimedTask) -> Self {
        let lease_ms = crate::limits::millis(task.lease);
        Self {
            id: task.id,
            fence: task.fence,
            started_at: Timestamp::from_millis(task.lease_expires_at.as_millis().saturating_sub(lease_ms)),
            user_id: task.user_id.clone(),
            project_id: task.project_id.clone(),
            tenant_id: task.tenant_id.clone(),
            correlation_id: task.correlation_id.clone(),
            traceparent: task.traceparent.clone(),
        }
    }

    /// Nothing, for a task that was never claimed.
    fn of_status(task: TaskStatus, fence: Fence) -> Option<Self> {
        Some(Self {
            id: task.id,
            fence,
            started_at: task.started_at?,
            user_id: task.user_id,
            project_id: task.project_id,
            tenant_id: task.tenant_id,
            correlation_id: task.correlation_id,
            traceparent: task.traceparent,
        })
    }

    /// The task that follows after those `made` before.
    pub(crate) fn next(
        &self,
        made: &[(QueueName, NewTask)],
        queue: &QueueName,
        mut task: NewTask,
        config: &Config,
    ) -> Result<NewTask, Error> {
        let invalid = |field, reason: &str| Err(Error::InvalidTask { field, reason: reason.to_owned() });
        if made.len() >= MAX_NEXT {
            return Err(Error::BatchTooLarge { given: made.len() + 1, limit: MAX_NEXT });
        }
        task.id = TaskId::derived(queue, self.started_at, self.seed(made.len()));
        let options = &mut task.options;
        if options.idempotency_key.is_some() {
            return invalid("idempotency_key", "a task that a completion brings is known by that completion");
        }
        for predecessor in &mut options.depends_on {
            let Some((home, before)) = made.iter().find(|(_, made)| made.id == predecessor.id) else { continue };
            if before.options.unique.is_some() {
                return invalid(
                    "depends_on",
                    "a task with a unique key may be another one, for which nothing can wait",
                );
            }
            predecessor.queue = Some(home).filter(|home| *home != queue).cloned();
        }
        let edges: usize = made.iter().map(|(_, made)| made.options.depends_on.len()).sum();
        if edges + options.depends_on.len() > MAX_BATCH {
            return Err(Error::BatchTooLarge { given: edges + options.depends_on.len(), limit: MAX_BATCH });
        }
        options.user_id = options.user_id.take().or_else(|| self.user_id.clone());
        options.project_id = options.project_id.take().or_else(|| self.project_id.clone());
        options.tenant_id = options.tenant_id.take().or_else(|| self.tenant_id.clone());
        options.traceparent = options.traceparent.take().or_else(|| self.traceparent.clone());
        options.correlation_id.get_or_insert_with(|| self.correlation_id.clone());
        validate::task(queue, &task, config)?;
        Ok(task)
    }

    /// Of an id: its place, so that the ids keep their order, and 56 bits that stand for the claim.
    fn seed(&self, place: usize) -> u64 {
        const HASH_BITS: u32 = 56;
        let hash = idempotency::digest(&format!("{}/{}", self.id, self.fence.0));
        let hash = u64::try_from(hash & ((1 << HASH_BITS) - 1)).unwrap_or(0);
        (u64::try_from(place).unwrap_or(u64::MAX) << HASH_BITS) | hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_the_claim_and_keep_their_order() {
        let queue: QueueName = "flow".parse().unwrap();
        let parent = |fence| Parent {
            id: TaskId::derived(&queue, Timestamp::from_millis(1), 7),
            fence: Fence(fence),
            started_at: Timestamp::from_millis(1_767_225_600_123),
            user_id: None,
            project_id: None,
            tenant_id: None,
            correlation_id: CorrelationId::accept(None),
            traceparent: None,
        };
        let derive = |fence| {
            let mut made = Vec::new();
            for _ in 0..MAX_NEXT {
                let task =
                    parent(fence).next(&made, &queue, NewTask::new(&queue, "k", "1"), &Config::default()).unwrap();
                made.push((queue.clone(), task));
            }
            made.into_iter().map(|(_, task)| task.id).collect::<Vec<_>>()
        };
        let ids = derive(7);
        assert!(ids.is_sorted_by(|a, b| a < b), "64 different ones in order");
        assert_eq!(ids, derive(7));
        assert!(derive(8).iter().all(|id| !ids.contains(id)));
    }
}
