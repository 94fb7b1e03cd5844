//! Many settlements or extensions at once, of tasks in any queues: one round trip for each queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use trackside_core::{QueueName, TaskId};

use super::{Acknowledged, Extension, QueueManager, next, validate};
use crate::{Error, Fence, MAX_BATCH, Outcome, Renewal, Renewed, Settled, Settlement, Step, StepReply, TaskState};

/// A lease to extend, as its holder asks for it.
///
/// ```
/// use trackside_core::{QueueName, TaskId};
/// use trackside_queue::{ExtendRequest, Fence};
/// let queue: QueueName = "exports".parse()?;
/// let as_configured = ExtendRequest { id: TaskId::generate(&queue), fence: Fence(17), lease: None };
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendRequest {
    /// The task.
    pub id: TaskId,
    /// Proof of the claim.
    pub fence: Fence,
    /// How long from now; the configured length by default.
    pub lease: Option<Duration>,
}

/// What came of one item of a batch. One failure of the store befalls every item of a round trip, so it is shared.
pub type ItemResult<T> = Result<T, Arc<Error>>;

/// Tasks of unknown whereabouts that are looked for at the same time.
const SEARCHES: usize = 16;

/// Something to be said about a task under lease.
trait Item: Clone + Send + Sync {
    /// What its holder is told when the fence is the current one.
    type Answer: Send;

    fn id(&self) -> TaskId;
    fn add_to(self, step: &mut Step);
    /// For each item of a step in its order; `None` when the lease is lost.
    fn answers(items: &[&Self], reply: StepReply) -> Vec<Option<Self::Answer>>;
}

// === impl QueueManager ===

impl QueueManager {
    /// Settles any number of tasks, of whatever queues, with a verdict for each in the same order.
    ///
    /// What befalls one item is no matter of the others, except that those of a queue share its round trip.
    ///
    /// # Errors
    /// For each item as [`settle`](Self::settle), and [`Error::InvalidTask`] when a result is not JSON or too long. After
    /// a timeout its items may be settled or not; all of them may be repeated (Q-L4).
    pub async fn settle_many(&self, settlements: Vec<Settlement>) -> Vec<ItemResult<TaskState>> {
        let verdicts = self.acknowledge_many(settlements).await;
        verdicts.into_iter().map(|verdict| verdict.map(|acknowledged| acknowledged.state)).collect()
    }

    /// As [`settle_many`](Self::settle_many), and answers what completions brought, which
    /// [`next_tasks`](Self::next_tasks) made ready.
    ///
    /// # Errors
    /// As there.
    pub async fn acknowledge_many(&self, settlements: Vec<Settlement>) -> Vec<ItemResult<Acknowledged>> {
        let checked = settlements.iter().map(|settlement| match &settlement.outcome {
            Outcome::Completed { result: Some(result), .. } => validate::json("result", result, &self.inner.config),
            _ => Ok(()),
        });
        let refused = checked.map(Result::err).collect();
        let all = settlements.iter().enumerate();
        let bringing: Vec<_> = all
            .filter(|(_, settlement)| !settlement.outcome.next().is_empty())
            .map(|(at, settlement)| (at, settlement.clone()))
            .collect();
        let verdicts = self.say(settlements, refused).await;
        for (at, settlement) in &bringing {
            if let Ok(acknowledged) = &verdicts[*at] {
                next::count(settlement.outcome.next(), acknowledged.enqueued.iter().map(|next| &next.task));
            }
        }
        verdicts
    }

    /// Extends any number of leases, of tasks in whatever queues, with a verdict for each in the same order.
    ///
    /// # Errors
    /// For each item as [`extend`](Self::extend).
    pub async fn extend_many(&self, requests: Vec<ExtendRequest>) -> Vec<ItemResult<Extension>> {
        let renewals: Vec<Renewal> = requests
            .into_iter()
            .map(|request| Renewal { id: request.id, fence: request.fence, lease: self.lease_of(request.lease) })
            .collect();
        let refused = renewals.iter().map(|_| None).collect();
        self.say(renewals, refused).await
    }

    /// Brings each item that is not refused to the queue of its task: those heard of that may be it, then the one that
    /// is. A queue that does not hold the task refuses the fence, so that asking a wrong one changes nothing (Q-L4).
    async fn say<I: Item>(&self, items: Vec<I>, refused: Vec<Option<Error>>) -> Vec<ItemResult<I::Answer>> {
        let mut verdicts: Vec<Option<ItemResult<I::Answer>>> =
            refused.into_iter().map(|error| error.map(|error| Err(Arc::new(error)))).collect();
        let homes: Vec<Vec<QueueName>> = items.iter().map(|item| self.inner.registry.homes(item.id())).collect();
        for turn in 0..homes.iter().map(Vec::len).max().unwrap_or(0) {
            let open = homes.iter().enumerate().filter(|(at, _)| verdicts[*at].is_none());
            let places = by_queue(open.filter_map(|(at, homes)| Some((at, homes.get(turn)?.clone()))));
            self.ask(&items, &places, &mut verdicts).await;
        }
        let lost: Vec<usize> = (0..items.len()).filter(|at| verdicts[*at].is_none()).collect();
        let searches = lost.into_iter().map(|at| {
            let id = items[at].id();
            async move { (at, self.status(id).await) }
        });
        let mut elsewhere = Vec::new();
        let mut found = stream::iter(searches).buffer_unordered(SEARCHES);
        while let Some((at, status)) = found.next().await {
            let id = items[at].id();
            match status {
                Ok(Some(status)) if homes[at].contains(&status.queue) => verdicts[at] = Some(lease_lost(id)),
                Ok(Some(status)) => elsewhere.push((at, status.queue)),
                Ok(None) => verdicts[at] = Some(Err(Arc::new(Error::UnknownTask(id)))),
                Err(error) => verdicts[at] = Some(Err(Arc::new(error))),
            }
        }
        // The order in which they were said, not that of the answers.
        elsewhere.sort_unstable_by_key(|(at, _)| *at);
        self.ask(&items, &by_queue(elsewhere.into_iter()), &mut verdicts).await;
        let ids = items.iter().map(Item::id);
        verdicts.into_iter().zip(ids).map(|(verdict, id)| verdict.unwrap_or_else(|| lease_lost(id))).collect()
    }

    /// One step for each queue, and another one for each [`MAX_BATCH`] items. Lost leases get no verdict yet.
    async fn ask<I: Item>(
        &self,
        items: &[I],
        places: &BTreeMap<QueueName, Vec<usize>>,
        verdicts: &mut [Option<ItemResult<I::Answer>>],
    ) {
        let queues = places.iter().map(|(queue, places)| async move {
            let mut replies = Vec::new();
            // One after the other, so that what is said twice about a task is heard in its order.
            for places in places.chunks(MAX_BATCH) {
                let mut step = self.quiet_step();
                for at in places {
                    items[*at].clone().add_to(&mut step);
                }
                replies.push((places, self.step_for_others(queue, step).await));
            }
            replies
        });
        for (places, reply) in join_all(queues).await.into_iter().flatten() {
            match reply {
                Ok(reply) => {
                    let said: Vec<&I> = places.iter().map(|at| &items[*at]).collect();
                    for (at, answer) in places.iter().zip(I::answers(&said, reply)) {
                        verdicts[*at] = answer.map(Ok);
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for at in places {
                        verdicts[*at] = Some(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }
}

fn by_queue(places: impl Iterator<Item = (usize, QueueName)>) -> BTreeMap<QueueName, Vec<usize>> {
    let mut queues: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
    for (at, queue) in places {
        queues.entry(queue).or_default().push(at);
    }
    queues
}

fn lease_lost<T>(id: TaskId) -> ItemResult<T> {
    Err(Arc::new(Error::LeaseLost(id)))
}

// === impl Item for Settlement, Renewal ===

impl Item for Settlement {
    type Answer = Acknowledged;

    fn id(&self) -> TaskId {
        self.id
    }

    fn add_to(self, step: &mut Step) {
        step.settle.push(self);
    }

    fn answers(items: &[&Self], reply: StepReply) -> Vec<Option<Acknowledged>> {
        let answer = |(item, settled): (&&Self, &Settled)| match settled {
            Settled::Applied(state) => Some(Acknowledged::of(*state, item, &reply)),
            Settled::LeaseLost => None,
        };
        items.iter().zip(&reply.settled).map(answer).collect()
    }
}

impl Item for Renewal {
    type Answer = Extension;

    fn id(&self) -> TaskId {
        self.id
    }

    fn add_to(self, step: &mut Step) {
        step.renew.push(self);
    }

    fn answers(_: &[&Self], reply: StepReply) -> Vec<Option<Extension>> {
        let answer = |renewed| match renewed {
            Renewed::Extended { expires_at, order } => {
                Some(Extension { lease_expires_at: expires_at, orders: order.into_iter().collect() })
            }
            Renewed::LeaseLost => None,
        };
        reply.renewed.into_iter().map(answer).collect()
    }
}
