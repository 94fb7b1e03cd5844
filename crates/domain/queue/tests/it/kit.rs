//! Tasks and steps in a line each.

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use trackside_core::{QueueName, TaskId, WorkerId};
use trackside_queue::{ClaimedTask, DeadRef, NewTask, Outcome, QueueStore, Settlement, Step, StepReply, TaskOptions};

pub(crate) fn new_task(queue: &QueueName) -> NewTask {
    NewTask {
        id: TaskId::generate(queue),
        kind: "test".into(),
        payload: Bytes::from_static(b"{}"),
        options: TaskOptions::default(),
    }
}

pub(crate) fn new_tasks(queue: &QueueName, count: usize) -> Vec<NewTask> {
    (0..count).map(|_| new_task(queue)).collect()
}

/// One worker, so that a store notes it no more often than it would note any.
static WORKER: LazyLock<WorkerId> = LazyLock::new(|| WorkerId::generate("test"));

pub(crate) fn step(credits: usize) -> Step {
    Step { credits, ..Step::new(WORKER.clone(), Duration::from_secs(100)) }
}

pub(crate) async fn claim(store: &dyn QueueStore, queue: &QueueName, credits: usize) -> StepReply {
    store.step(queue, step(credits)).await.unwrap()
}

pub(crate) fn complete(claimed: &[ClaimedTask]) -> Step {
    let outcome = Outcome::completed(Some(Bytes::from_static(b"true")));
    let settle = claimed.iter().map(|it| Settlement { id: it.id, fence: it.fence, outcome: outcome.clone() });
    Step { settle: settle.collect(), ..step(0) }
}

/// Dead letters meant by their ids alone.
pub(crate) fn refs(ids: &[TaskId]) -> Vec<DeadRef> {
    ids.iter().copied().map(Into::into).collect()
}
