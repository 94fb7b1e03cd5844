//! Laws of completions that bring the next tasks (Q-L23).

use std::time::Duration;

use trackside_core::{QueueName, TaskId};

use super::{
    Harness,
    driver::{Driver, completed, failed, settlement},
};
use crate::{
    ClaimedTask, Due, Enqueued, Error, NewTask, OnFailure, Outcome, QueuePolicy, Settled, Step, StepReply, TaskState,
    Unique, UniqueUntil,
};

/// Q-L23: with the completion, in order, with what they wait for; and never twice.
pub async fn l23_a_completion_brings_the_next_tasks_once(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    let first = driver.task();
    let second = driver.after(std::slice::from_ref(&first));
    let mut third = driver.task();
    third.options.due = Due::After(Duration::from_secs(600));
    let next = [first.clone(), second.clone(), third.clone()];
    let states = [TaskState::Queued, TaskState::Waiting, TaskState::Delayed];
    for replayed in [false, true] {
        let reply = driver.bring(&[(&claimed, &next)]).await?;
        assert_eq!(reply.settled, [Settled::Applied(TaskState::Completed)]);
        let expected = next.iter().zip(states).map(|(task, state)| Enqueued { id: task.id, state, replayed });
        assert_eq!(reply.next[&claimed.id], expected.collect::<Vec<_>>());
        assert_eq!(driver.audit().await?.created, 4);
    }
    assert_eq!(driver.run_ready().await?, [first.id, second.id]);
    // A repetition that comes late is told where they are by then.
    let reply = driver.bring(&[(&claimed, &next)]).await?;
    let states: Vec<_> = reply.next[&claimed.id].iter().map(|task| (task.id, task.state)).collect();
    let expected =
        [(first.id, TaskState::Completed), (second.id, TaskState::Completed), (third.id, TaskState::Delayed)];
    assert_eq!(states, expected);
    assert_eq!((driver.audit().await?.created, driver.claim_ids(10).await?), (4, vec![]));
    Ok(())
}

/// Q-L23: neither with a lease that is lost, nor with another outcome.
pub async fn l23_a_lost_lease_brings_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = driver.claimed(driver.task()).await?;
    driver.advance_with_steps(driver.lease()).await?;
    let second = driver.claim(1).await?.claimed.remove(0);
    let reply = driver.bring(&[(&first, &[driver.task()])]).await?;
    assert_eq!((&*reply.settled, reply.next.len()), (&[Settled::LeaseLost][..], 0));
    assert_eq!(driver.settle(second.id, second.fence, failed("not yet")).await?, Settled::Applied(TaskState::Failed));
    let reply = driver.bring(&[(&second, &[driver.task()])]).await?;
    // The settlement that was applied is answered, and brings nothing either.
    assert_eq!((&*reply.settled, reply.next.len()), (&[Settled::Applied(TaskState::Failed)][..], 0));
    assert_eq!(driver.audit().await?.created, 1);
    Ok(())
}

/// Q-L23: of two settlements of a task in one step the first counts.
pub async fn l23_a_completion_said_twice_at_once_brings_them_once(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut task = driver.task();
    task.options.retention = Some(Duration::ZERO);
    let claimed = driver.claimed(task).await?;
    let next = [driver.task()];
    let reply = driver.bring(&[(&claimed, &next), (&claimed, &next)]).await?;
    assert_eq!(reply.settled, [Settled::Applied(TaskState::Completed); 2]);
    assert_eq!(driver.claim_ids(10).await?, [next[0].id]);
    assert_eq!(driver.audit().await?.created, 2);
    Ok(())
}

/// Q-L23, Q-L20: what is in the queue goes on, also when there is no room for new tasks.
pub async fn l23_next_tasks_are_not_refused_for_want_of_room(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    driver.store().set_policy(&driver.queue, &QueuePolicy { max_depth: Some(1), ..QueuePolicy::default() }).await?;
    let next = driver.tasks(3);
    assert_eq!(driver.bring(&[(&claimed, &next)]).await?.next[&claimed.id].len(), 3);
    assert!(matches!(driver.offer(&driver.tasks(1)).await, Err(Error::QueueFull { .. })));
    assert_eq!(driver.run_ready().await?, super::driver::ids_of(&next));
    Ok(())
}

/// Q-L23, Q-L22: nothing can be refused any more, so a task of which nothing is known has failed.
pub async fn l23_a_next_task_dies_of_an_unknown_predecessor(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    let stranger = driver.task();
    let dies = driver.after(std::slice::from_ref(&stranger));
    let mut goes_on = driver.after(std::slice::from_ref(&stranger));
    goes_on.options.on_failure = OnFailure::Continue;
    driver.bring(&[(&claimed, &[dies.clone(), goes_on.clone()])]).await?;
    assert_eq!(driver.run_ready().await?, [goes_on.id]);
    let status = driver.status(dies.id).await?.unwrap_or_else(|| unreachable!("it was enqueued"));
    let reason = format!("dependency failed: task {} is unknown", stranger.id);
    assert_eq!((status.state, status.error), (TaskState::Dead, Some(reason)));
    driver.audit().await?;
    Ok(())
}

/// Q-L23, Q-L18: a next task may stand for one that is there already.
pub async fn l23_a_next_task_may_be_known_by_a_unique_key(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut keyed = driver.task();
    keyed.options.unique = Some(Unique { key: "one".into(), until: UniqueUntil::Done });
    let another = NewTask { id: TaskId::generate(&driver.queue), ..keyed.clone() };
    let claimed = driver.claimed(driver.task()).await?;
    driver.enqueue_one(&keyed).await?;
    for _ in 0..2 {
        let reply = driver.bring(&[(&claimed, std::slice::from_ref(&another))]).await?;
        let stands = Enqueued { id: keyed.id, state: TaskState::Queued, replayed: true };
        assert_eq!(reply.next[&claimed.id], [stands]);
    }
    assert_eq!(driver.run_ready().await?, [keyed.id]);
    Ok(())
}

/// Q-L23: as many as a step may carry.
pub async fn l23_a_full_step_brings_tasks_for_each_completion(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(crate::MAX_BATCH)).await?;
    let claimed = driver.claim(crate::MAX_BATCH).await?.claimed;
    let next: Vec<Vec<NewTask>> = (0..claimed.len())
        .map(|at| match at {
            7 => driver.tasks(crate::MAX_NEXT),
            _ => {
                let first = driver.task();
                let second = driver.after(std::slice::from_ref(&first));
                vec![first, second]
            }
        })
        .collect();
    let pairs: Vec<(&ClaimedTask, &[NewTask])> = claimed.iter().zip(next.iter().map(Vec::as_slice)).collect();
    let reply = driver.bring(&pairs).await?;
    assert_eq!(reply.settled, vec![Settled::Applied(TaskState::Completed); claimed.len()]);
    for (task, next) in &pairs {
        let brought: Vec<TaskId> = reply.next[&task.id].iter().map(|task| task.id).collect();
        assert_eq!(brought, super::driver::ids_of(next));
    }
    let count = next.iter().map(Vec::len).sum::<usize>();
    let mut run = driver.run_ready().await?;
    run.sort_unstable();
    run.dedup();
    assert_eq!(run.len(), count, "each once");
    assert_eq!(driver.audit().await?.created, u64::try_from(count + claimed.len()).unwrap_or(0));
    Ok(())
}

fn completed_with(next: Vec<(QueueName, NewTask)>) -> Outcome {
    match completed() {
        Outcome::Completed { result, .. } => Outcome::Completed { result, next },
        other => other,
    }
}

impl<H: Harness> Driver<'_, H> {
    /// Completes tasks, each with what it brings for this queue.
    async fn bring(&self, completions: &[(&ClaimedTask, &[NewTask])]) -> Result<StepReply, Error> {
        let settle = completions
            .iter()
            .map(|(task, next)| {
                let next = next.iter().map(|task| (self.queue.clone(), task.clone())).collect();
                settlement(task, completed_with(next))
            })
            .collect();
        self.store().step(&self.queue, Step { settle, ..self.step() }).await
    }
}
