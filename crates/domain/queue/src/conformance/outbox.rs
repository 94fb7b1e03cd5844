//! Laws of messages between queues (Q-L24), and of what they carry (Q-L21 to Q-L23).

use std::time::Duration;

use trackside_core::{QueueName, TaskId, WorkerId};

use super::{
    Harness,
    driver::{Driver, completed, failed_for_good, ids, settlement},
};
use crate::{
    ClaimedTask, Delivery, Dependency, Due, Error, NewTask, OnFailure, OutboxMessage, OutboxRequest, Outcome, Step,
    TaskState,
};

/// How long a relay has its turn.
const TURN: Duration = Duration::from_secs(5);

fn completed_with(next: Vec<(QueueName, NewTask)>) -> Outcome {
    Outcome::Completed { result: None, next }
}

/// Q-L23, Q-L24: written down with the completion, kept until it is delivered, and added once however often it is.
pub async fn l24_tasks_for_other_queues_are_kept_until_delivered(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let other = harness.queue();
    let claimed = driver.claimed(driver.task()).await?;
    let mut task = NewTask::new(&other, "next", r#"{"a": 1}"#);
    task.options.due = Due::After(Duration::from_secs(60));
    let settle = vec![settlement(&claimed, completed_with(vec![(other.clone(), task.clone())]))];
    for _ in 0..2 {
        let step = Step { settle: settle.clone(), ..driver.step() };
        let reply = driver.store().step(&driver.queue, step).await?;
        assert!(reply.has_outbox, "the reply says that there is something to deliver");
        let brought = &reply.next[&claimed.id];
        assert_eq!((brought[0].id, brought[0].state), (task.id, TaskState::Delayed));
    }
    assert_eq!(driver.store().status(&other, task.id).await?, None);

    let messages = driver.messages(&driver.queue, 0).await?;
    assert_eq!(messages.len(), 1);
    for _ in 0..2 {
        driver.store().deliver(&other, &driver.queue, &messages).await?;
        assert_eq!(driver.messages(&driver.queue, 0).await?, messages, "it is not delivered before that is said");
    }
    let status = driver.store().status(&other, task.id).await?.unwrap_or_else(|| unreachable!("delivered"));
    assert_eq!((status.state, status.kind), (TaskState::Delayed, task.kind));
    assert_eq!(driver.store().stats(&other).await?.created, 1);
    driver.delivered(&driver.queue, vec![messages[0].number]).await?;
    assert_eq!(driver.messages(&driver.queue, 0).await?, []);
    assert!(!driver.claim(0).await?.has_outbox);
    Ok(())
}

/// Q-L21, Q-L23, Q-L24: tasks that one completion brings wait for each other across queues, there and back.
pub async fn l24_next_tasks_of_several_queues_wait_for_each_other(harness: &impl Harness) -> Result<(), Error> {
    let (here, there, third) = (Driver::new(harness), Driver::new(harness), Driver::new(harness));
    let claimed = here.claimed(here.task()).await?;
    let first = there.task();
    let second = Driver::across(&here, &there, first.id);
    let last = Driver::across(&third, &here, second.id);
    let next = [(&there, &first), (&here, &second), (&third, &last)];
    let next = next.map(|(driver, task)| (driver.queue.clone(), task.clone())).to_vec();
    here.settle(claimed.id, claimed.fence, completed_with(next)).await?;
    here.relay(&[&here, &third, &there]).await?;
    assert_eq!((here.run_ready().await?, third.run_ready().await?), (vec![], vec![]));
    assert_eq!(there.run_ready().await?, [first.id]);
    here.relay(&[&there]).await?;
    assert_eq!((here.run_ready().await?, third.run_ready().await?), (vec![second.id], vec![]));
    here.relay(&[&here]).await?;
    assert_eq!(third.run_ready().await?, [last.id]);
    Ok(())
}

/// Q-L24, Q-L19: also when nothing is kept of the task by which it could be recognised.
pub async fn l24_a_task_of_which_nothing_is_kept_is_brought_once(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let claimed = here.claimed(here.task()).await?;
    let mut task = there.task();
    task.options.retention = Some(Duration::ZERO);
    here.settle(claimed.id, claimed.fence, completed_with(vec![(there.queue.clone(), task.clone())])).await?;
    let messages = here.messages(&here.queue, 0).await?;
    here.store().deliver(&there.queue, &here.queue, &messages).await?;
    assert_eq!(there.run_ready().await?, [task.id]);
    // Its relay died before it could say that it was delivered, and another one took its place.
    here.store().deliver(&there.queue, &here.queue, &messages).await?;
    assert_eq!((there.run_ready().await?, there.audit().await?.created), (vec![], 1));
    Ok(())
}

/// Q-L24: more than a page, in their order.
pub async fn l24_messages_come_in_the_order_in_which_they_were_written(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let mut expected = Vec::new();
    for _ in 0..2 {
        let claimed = here.claimed(here.task()).await?;
        let tasks = there.tasks(crate::MAX_NEXT);
        let next = tasks.iter().map(|task| (there.queue.clone(), task.clone())).collect();
        here.settle(claimed.id, claimed.fence, completed_with(next)).await?;
        expected.extend(super::driver::ids_of(&tasks));
    }
    assert_eq!(here.relay(&[&here]).await?, expected.len());
    assert_eq!(there.run_ready().await?, expected);
    here.audit().await?;
    there.audit().await?;
    Ok(())
}

/// Q-L21, Q-L22, Q-L24: a task that is called off with one of another queue, and what waits for it there.
pub async fn l24_a_fate_is_shared_across_queues_and_back(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let first = there.claimed(there.task()).await?;
    let mut second = Driver::across(&here, &there, first.id);
    second.options.on_failure = OnFailure::Cancel;
    here.enqueue_one(&second).await?;
    let third = Driver::across(&there, &here, second.id);
    there.enqueue_one(&third).await?;
    here.relay(&[&here, &there]).await?;
    there.settle(first.id, first.fence, failed_for_good("no paper")).await?;
    here.relay(&[&there, &here, &there, &here]).await?;
    assert_eq!(here.state(second.id).await?, Some(TaskState::Cancelled));
    let status = there.status(third.id).await?.unwrap_or_else(|| unreachable!("a dead letter"));
    let reason = format!("dependency failed: task {} was cancelled", second.id);
    assert_eq!((status.state, status.error), (TaskState::Dead, Some(reason)));
    for driver in [&here, &there] {
        let audit = driver.audit().await?;
        assert_eq!(driver.stats().await?.waiting, 0, "{audit:?}");
    }
    Ok(())
}

/// Q-L24: for as long as its turn lasts, and not longer when it dies.
pub async fn l24_one_relay_at_a_time_has_its_turn(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let other = harness.queue();
    let claimed = driver.claimed(driver.task()).await?;
    let next = vec![(other.clone(), NewTask::new(&other, "next", "1"))];
    driver.settle(claimed.id, claimed.fence, completed_with(next)).await?;
    let ask = async |relay: &WorkerId| {
        let request = OutboxRequest { relay: relay.clone(), turn: TURN, delivered: vec![], after: 0 };
        driver.store().outbox(&driver.queue, &request).await
    };
    let (first, second) = (WorkerId::generate("relay"), WorkerId::generate("relay"));
    assert_eq!(ask(&first).await?.messages.len(), 1);
    let busy = ask(&second).await?;
    assert!(busy.messages.is_empty() && busy.busy.is_some_and(|busy| busy <= TURN), "{busy:?}");
    assert_eq!(ask(&first).await?.messages.len(), 1);
    driver.advance(TURN + Duration::from_secs(1)).await;
    assert_eq!(ask(&second).await?.messages.len(), 1);
    Ok(())
}

/// Q-L21, Q-L24: across queues, whichever ends first, with one message for all that wait in a queue.
pub async fn l24_a_task_waits_for_those_of_other_queues(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let before = there.task();
    let claimed = there.claimed(before.clone()).await?;
    let local = here.task();
    let mut after = here.after(std::slice::from_ref(&local));
    after.options.depends_on.push(Dependency { id: before.id, queue: Some(there.queue.clone()) });
    let also = Driver::across(&here, &there, before.id);
    here.enqueue(&[local.clone(), after.clone(), also.clone()]).await?;
    assert_eq!(here.run_ready().await?, [local.id]);
    assert_eq!(here.relay(&[&here, &there]).await?, 2, "one for each edge");
    assert_eq!(here.state(after.id).await?, Some(TaskState::Waiting));

    there.settle(before.id, claimed.fence, completed()).await?;
    assert_eq!(here.relay(&[&here, &there]).await?, 1, "one for the queue");
    assert_eq!(here.run_ready().await?, [after.id, also.id]);
    // What has ended before the question is told at once.
    let late = Driver::across(&here, &there, before.id);
    assert_eq!(here.enqueue_one(&late).await?, TaskState::Waiting);
    assert_eq!(here.relay(&[&here, &there]).await?, 2);
    assert_eq!(here.run_ready().await?, [late.id]);
    Ok(())
}

/// Q-L22, Q-L24: a failure crosses as well, and so does not knowing the task.
pub async fn l24_a_failure_in_another_queue_is_told(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let before = there.claimed(there.task()).await?;
    let dies = Driver::across(&here, &there, before.id);
    let mut goes_on = Driver::across(&here, &there, before.id);
    goes_on.options.on_failure = OnFailure::Continue;
    let lost = Driver::across(&here, &there, TaskId::generate(&there.queue));
    here.enqueue(&[dies.clone(), goes_on.clone(), lost.clone()]).await?;
    there.settle(before.id, before.fence, failed_for_good("printer on fire")).await?;
    here.relay(&[&here, &there, &here]).await?;
    let error = async |id| Ok::<_, Error>(here.status(id).await?.and_then(|status| status.error));
    let reason = format!("dependency failed: task {} is dead: printer on fire", before.id);
    assert_eq!(error(dies.id).await?, Some(reason));
    let reason = format!("dependency failed: task {} is unknown", lost.options.depends_on[0].id);
    assert_eq!(error(lost.id).await?, Some(reason));
    assert_eq!(here.run_ready().await?, [goes_on.id]);
    Ok(())
}

/// Q-L24: an edge that is told twice, or after the task is gone, changes nothing.
pub async fn l24_hearing_it_again_changes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let (here, there) = (Driver::new(harness), Driver::new(harness));
    let before: Vec<ClaimedTask> = {
        there.enqueue(&there.tasks(2)).await?;
        there.claim(2).await?.claimed
    };
    let mut after = here.task();
    let edge = |task: &ClaimedTask| Dependency { id: task.id, queue: Some(there.queue.clone()) };
    after.options.depends_on = before.iter().map(edge).collect();
    here.enqueue_one(&after).await?;
    for (at, task) in before.iter().enumerate() {
        let delivery =
            Delivery::Ended { predecessor: task.id, state: Some(TaskState::Completed), reason: String::new() };
        for number in 1..4 {
            // Once as a repetition, and then as if somebody had said it anew.
            let number = u64::try_from(at * 10 + number / 2).unwrap_or(0);
            let message = OutboxMessage { number, to: here.queue.clone(), delivery: delivery.clone() };
            here.store().deliver(&here.queue, &there.queue, &[message]).await?;
        }
        let expected = if at == 0 { TaskState::Waiting } else { TaskState::Queued };
        assert_eq!(here.state(after.id).await?, Some(expected));
    }
    assert_eq!(ids(&here.claim(10).await?.claimed), [after.id]);
    Ok(())
}

impl<H: Harness> Driver<'_, H> {
    /// A task of one queue that waits for one of another.
    fn across(here: &Self, there: &Self, id: TaskId) -> NewTask {
        let mut task = here.task();
        task.options.depends_on = vec![Dependency { id, queue: Some(there.queue.clone()) }];
        task
    }

    /// The next messages of a queue.
    async fn messages(&self, queue: &QueueName, after: u64) -> Result<Vec<OutboxMessage>, Error> {
        let request = OutboxRequest { relay: self.worker.clone(), turn: TURN, delivered: vec![], after };
        Ok(self.store().outbox(queue, &request).await?.messages)
    }

    async fn delivered(&self, queue: &QueueName, delivered: Vec<u64>) -> Result<(), Error> {
        let request = OutboxRequest { relay: self.worker.clone(), turn: TURN, delivered, after: 0 };
        self.store().outbox(queue, &request).await.map(drop)
    }

    /// Delivers everything that these queues have to say, one queue after the other; answers how many messages.
    async fn relay(&self, queues: &[&Self]) -> Result<usize, Error> {
        let mut count = 0;
        for driver in queues {
            loop {
                let request = OutboxRequest { relay: self.worker.clone(), turn: TURN, delivered: vec![], after: 0 };
                let page = self.store().outbox(&driver.queue, &request).await?;
                if page.messages.is_empty() && !page.is_pending {
                    break;
                }
                count += page.messages.len();
                for message in &page.messages {
                    for _ in 0..2 {
                        self.store().deliver(&message.to, &driver.queue, std::slice::from_ref(message)).await?;
                    }
                }
                let numbers = page.messages.iter().map(|message| message.number).collect();
                self.delivered(&driver.queue, numbers).await?;
            }
        }
        Ok(count)
    }
}
