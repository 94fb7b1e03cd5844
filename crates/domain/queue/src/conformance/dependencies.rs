//! Laws of dependencies: who waits, for how long, and what a failure does to those who wait (Q-L21, Q-L22).

use std::time::Duration;

use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, cancelled, completed, failed, failed_for_good, ids, ids_of, settlement},
};
use crate::{ClaimedTask, Due, Error, MAX_BATCH, NewTask, OnFailure, Outcome, Step, TaskState};

/// Q-L21: of three, one fails first and one is released; and what it waited for is told to whoever asks.
pub async fn l21_a_task_waits_until_all_its_predecessors_have_completed(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.tasks(3);
    let after = driver.after(&before);
    driver.enqueue(&before).await?;
    assert_eq!(driver.enqueue_one(&after).await?, TaskState::Waiting);
    assert_eq!(driver.enqueue_one(&after).await?, TaskState::Waiting, "known");
    let stats = driver.stats().await?;
    assert_eq!((stats.waiting, stats.ready, stats.created), (1, [0, 0, 3, 0], 4));

    let claimed = driver.claim(10).await?.claimed;
    assert_eq!(ids(&claimed), ids_of(&before));
    driver.settle(claimed[0].id, claimed[0].fence, failed("again")).await?;
    driver.settle(claimed[1].id, claimed[1].fence, completed()).await?;
    driver.settle(claimed[2].id, claimed[2].fence, Outcome::Released).await?;
    assert_eq!(driver.run_ready().await?, [before[2].id]);
    assert_eq!(driver.state(after.id).await?, Some(TaskState::Waiting));

    driver.advance_with_steps(Duration::from_secs(60)).await?;
    assert_eq!(driver.run_ready().await?, [before[0].id, after.id]);
    let status = driver.status(after.id).await?.unwrap_or_else(|| unreachable!("completed"));
    assert_eq!(status.depends_on, after.options.depends_on);
    let stats = driver.stats().await?;
    assert_eq!((stats.waiting, stats.completed), (0, 4));
    Ok(())
}

/// Q-L21: in one step the successor is handed out as well.
pub async fn l21_the_step_that_brings_the_completion_may_claim_the_successor(
    harness: &impl Harness,
) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.task();
    let after = driver.after(std::slice::from_ref(&before));
    let claimed = driver.claimed(before).await?;
    driver.enqueue_one(&after).await?;
    let step = crate::Step { settle: vec![settlement(&claimed, completed())], credits: 1, ..driver.step() };
    let reply = driver.store().step(&driver.queue, step).await?;
    assert_eq!(ids(&reply.claimed), [after.id]);
    assert_eq!(reply.claimed[0].depends_on, after.options.depends_on);
    Ok(())
}

/// Q-L21: neither a made-up one, nor one that comes later, nor itself; and nothing of the call is added.
pub async fn l21_an_unknown_predecessor_is_refused(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (known, stranger) = (driver.task(), driver.task());
    driver.enqueue_one(&known).await?;
    let mut itself = driver.task();
    itself.options.depends_on = vec![itself.id.into()];
    let later = driver.task();
    let early = driver.after(std::slice::from_ref(&later));
    let orphan = driver.after(&[known, stranger.clone()]);
    let cases = [
        (vec![driver.task(), orphan], stranger.id),
        (vec![itself.clone()], itself.id),
        (vec![early, later.clone()], later.id),
    ];
    for (tasks, unknown) in cases {
        let refused = driver.enqueue(&tasks).await;
        let Err(Error::Item { source, .. }) = refused else { unreachable!("{refused:?}") };
        assert!(matches!(*source, Error::UnknownPredecessor(id) if id == unknown), "{source:?}");
    }
    let stats = driver.stats().await?;
    assert_eq!((stats.created, stats.waiting), (1, 0));
    Ok(())
}

/// Q-L21: a diamond in one call, and again because the answer was lost.
pub async fn l21_predecessors_may_stand_before_in_the_same_call(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let top = driver.task();
    let sides = [driver.after(std::slice::from_ref(&top)), driver.after(std::slice::from_ref(&top))];
    let bottom = driver.after(&sides);
    let [left, right] = sides;
    let diamond = [top, left, right, bottom];
    let expected = [TaskState::Queued, TaskState::Waiting, TaskState::Waiting, TaskState::Waiting];
    assert_eq!(driver.enqueue(&diamond).await?, expected);
    assert_eq!(driver.enqueue(&diamond).await?, expected);

    assert_eq!(driver.claim_ids(10).await?, [diamond[0].id]);
    driver.advance_with_steps(driver.lease()).await?;
    let crashed = driver.claim(10).await?.claimed;
    assert_eq!(ids(&crashed), [diamond[0].id], "a crash completes nothing");
    driver.settle(crashed[0].id, crashed[0].fence, completed()).await?;
    let sides = driver.claim(10).await?.claimed;
    assert_eq!(ids(&sides), [diamond[1].id, diamond[2].id]);
    driver.settle(sides[1].id, sides[1].fence, completed()).await?;
    assert_eq!(driver.claim_ids(10).await?, []);
    driver.settle(sides[0].id, sides[0].fence, completed()).await?;
    assert_eq!(driver.run_ready().await?, [diamond[3].id]);
    assert_eq!(driver.enqueue(&diamond).await?, [TaskState::Completed; 4]);
    Ok(())
}

/// Q-L21: waiting for what is done is not waiting.
pub async fn l21_a_predecessor_that_has_completed_holds_nothing_back(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (done, open) = (driver.task(), driver.task());
    let claimed = driver.claimed(done.clone()).await?;
    driver.settle(done.id, claimed.fence, completed()).await?;
    driver.enqueue_one(&open).await?;
    assert_eq!(driver.enqueue_one(&driver.after(std::slice::from_ref(&done))).await?, TaskState::Queued);
    // The same predecessor named twice is one.
    let both = driver.after(&[done, open.clone(), open]);
    assert_eq!(driver.enqueue_one(&both).await?, TaskState::Waiting);
    assert_eq!(driver.run_ready().await?.last(), Some(&both.id));
    Ok(())
}

/// Q-L21, Q-L7: it is due when both say so, in either order.
pub async fn l21_a_delayed_task_waits_for_its_time_as_well(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    for early in [true, false] {
        let before = driver.task();
        let mut after = driver.after(std::slice::from_ref(&before));
        after.options.due = Due::After(Duration::from_secs(600));
        driver.enqueue(&[before.clone(), after.clone()]).await?;
        if early {
            assert_eq!(driver.run_ready().await?, [before.id]);
            assert_eq!(driver.state(after.id).await?, Some(TaskState::Delayed));
            driver.advance_with_steps(Duration::from_secs(600)).await?;
            assert_eq!(driver.run_ready().await?, [after.id]);
        } else {
            driver.advance_with_steps(Duration::from_secs(600)).await?;
            assert_eq!(driver.state(after.id).await?, Some(TaskState::Waiting));
            assert_eq!(driver.run_ready().await?, [before.id, after.id]);
        }
    }
    Ok(())
}

/// Q-L21: the step that frees a delayed task says when it is due.
pub async fn l21_the_step_that_frees_a_delayed_task_tells_when_it_is_due(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.claimed(driver.task()).await?;
    let mut after = driver.task();
    after.options.depends_on = vec![before.id.into()];
    after.options.due = Due::After(Duration::from_secs(600));
    driver.enqueue_one(&after).await?;
    let settle = vec![settlement(&before, completed())];
    let reply = driver.store().step(&driver.queue, Step { settle, credits: 0, ..driver.step() }).await?;
    assert!(reply.next_due.is_some_and(|due| due <= Duration::from_secs(600)), "{:?}", reply.next_due);
    Ok(())
}

/// Q-L21, Q-L16: what waits for a task that expired is told in the step that ends it.
pub async fn l21_a_task_that_expired_is_told_in_the_same_step(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut before = driver.task();
    before.options.expires_at = Some(driver.claim(0).await?.now.plus(Duration::from_secs(60)));
    let mut after = driver.after(std::slice::from_ref(&before));
    after.options.on_failure = OnFailure::Continue;
    driver.enqueue(&[before.clone(), after.clone()]).await?;
    driver.advance(Duration::from_secs(100)).await;
    let reply = driver.claim(1).await?;
    assert_eq!(driver.state(before.id).await?, Some(TaskState::Cancelled));
    let is_claimed = reply.claimed.iter().any(|task| task.id == after.id);
    assert!(is_claimed || reply.more_ready, "it is handed out, or the worker is told to ask again");
    Ok(())
}

/// Q-L21: a thousand are told in rounds, and the reply says that more is to come.
pub async fn l21_a_wide_fan_out_reaches_everyone(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.task();
    let claimed = driver.claimed(before.clone()).await?;
    let after: Vec<NewTask> = (0..1_000).map(|_| driver.after(std::slice::from_ref(&before))).collect();
    for chunk in after.chunks(MAX_BATCH) {
        driver.enqueue(chunk).await?;
    }
    driver.settle(before.id, claimed.fence, completed()).await?;
    for _ in 0..after.len() / 32 {
        let reply = driver.claim(0).await?;
        let told = driver.stats().await?;
        assert_eq!(told.waiting + told.ready[2], 1_000);
        if told.waiting == 0 {
            break;
        }
        assert_eq!(reply.next_due, Some(Duration::ZERO), "there is more to do at once");
    }
    let mut ran = driver.run_ready().await?;
    ran.sort_unstable();
    assert_eq!(ran, ids_of(&after));
    Ok(())
}

/// Q-L21: as many predecessors as a task may have, and one more.
pub async fn l21_a_wide_fan_in_waits_for_everyone(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.tasks(MAX_BATCH);
    driver.enqueue(&before).await?;
    let after = driver.after(&before);
    let mut too_many = after.clone();
    too_many.options.depends_on.push(before[0].id.into());
    let refused = driver.enqueue(&[too_many]).await;
    assert!(matches!(refused, Err(Error::BatchTooLarge { given: 257, limit: 256 })), "{refused:?}");
    assert_eq!(driver.enqueue_one(&after).await?, TaskState::Waiting);

    let claimed = driver.claim(MAX_BATCH).await?.claimed;
    let (last, first) = claimed.split_last().unwrap_or_else(|| unreachable!("256 tasks"));
    driver.settle_all(first.iter().map(|task| settlement(task, completed())).collect()).await?;
    for _ in 0..8 {
        driver.claim(0).await?;
    }
    assert_eq!(driver.state(after.id).await?, Some(TaskState::Waiting));
    driver.settle(last.id, last.fence, completed()).await?;
    assert_eq!(driver.run_ready().await?, [after.id]);
    Ok(())
}

/// Q-L21: a long chain runs in its order, however much else is ready.
pub async fn l21_a_long_chain_runs_in_order(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut chain = vec![driver.task()];
    while chain.len() < 100 {
        chain.push(driver.after(&chain[chain.len() - 1..]));
    }
    driver.enqueue(&chain).await?;
    assert_eq!(driver.run_ready().await?, ids_of(&chain));
    Ok(())
}

/// Q-L22: along a chain, with the first failure as the reason of all; requeued, each runs without waiting.
pub async fn l22_a_task_dies_of_a_failed_predecessor(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = driver.task();
    let second = driver.after(std::slice::from_ref(&first));
    let third = driver.after(&[second.clone(), first.clone()]);
    driver.enqueue(&[first.clone(), second.clone(), third.clone()]).await?;
    let claimed = driver.claim(10).await?.claimed;
    driver.settle(first.id, claimed[0].fence, failed_for_good("printer on fire")).await?;
    driver.claim(0).await?;

    let reason = format!("dependency failed: task {} is dead: printer on fire", first.id);
    for task in [&second, &third] {
        let status = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("dead"));
        assert_eq!((status.state, status.attempts, status.error.as_ref()), (TaskState::Dead, 0, Some(&reason)));
    }
    let stats = driver.stats().await?;
    assert_eq!((stats.dead, stats.waiting), (3, 0));
    assert_eq!(driver.store().dead_letters(&driver.queue, None, 10).await?.len(), 3);

    assert_eq!(driver.store().requeue_dead(&driver.queue, &[first.id.into()]).await?, 1);
    assert_eq!(driver.run_ready().await?, [first.id]);
    assert_eq!(driver.state(second.id).await?, Some(TaskState::Dead), "what was decided stays");
    assert_eq!(driver.store().requeue_dead(&driver.queue, &[third.id.into(), second.id.into()]).await?, 2);
    assert_eq!(driver.run_ready().await?, [third.id, second.id]);
    Ok(())
}

/// Q-L22: it runs once all have ended in one way or another.
pub async fn l22_a_task_may_continue_after_a_failure(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let before = driver.tasks(3);
    let mut after = driver.after(&before);
    after.options.on_failure = OnFailure::Continue;
    driver.enqueue(&before).await?;
    driver.enqueue_one(&after).await?;
    let claimed = driver.claim(10).await?.claimed;
    for (task, outcome) in claimed.iter().zip([failed_for_good("no"), cancelled("no"), completed()]) {
        assert_eq!(driver.state(after.id).await?, Some(TaskState::Waiting));
        driver.settle(task.id, task.fence, outcome).await?;
    }
    assert_eq!(driver.run_ready().await?, [after.id]);
    Ok(())
}

/// Q-L22: and so on, each after its own policy.
pub async fn l22_a_task_may_be_called_off_with_its_predecessor(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = driver.task();
    let next = |before: &NewTask, on_failure| {
        let mut task = driver.after(std::slice::from_ref(before));
        task.options.on_failure = on_failure;
        task
    };
    let second = next(&first, OnFailure::Cancel);
    let third = next(&second, OnFailure::Cancel);
    let (dies, goes_on) = (next(&third, OnFailure::Fail), next(&third, OnFailure::Continue));
    driver.enqueue(&[first.clone(), second.clone(), third.clone(), dies.clone(), goes_on.clone()]).await?;
    driver.store().cancel(&driver.queue, first.id, "not needed").await?;
    for _ in 0..4 {
        driver.claim(0).await?;
    }
    let reason = |id| Some(format!("dependency failed: task {id} was cancelled"));
    for (task, state, error) in [
        (&second, TaskState::Cancelled, reason(first.id)),
        (&third, TaskState::Cancelled, reason(second.id)),
        (&dies, TaskState::Dead, reason(third.id)),
        (&goes_on, TaskState::Queued, None),
    ] {
        let status = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("known"));
        assert_eq!((status.state, status.error), (state, error));
    }
    let stats = driver.stats().await?;
    assert_eq!((stats.cancelled, stats.dead, stats.ready[2], stats.waiting), (3, 1, 1, 0));
    Ok(())
}

/// Q-L22: what had failed before the task came fails it at once.
pub async fn l22_a_predecessor_that_had_failed_before_counts_as_well(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    driver.settle(claimed.id, claimed.fence, failed_for_good("no")).await?;
    let gone = driver.task();
    driver.enqueue_one(&gone).await?;
    driver.store().cancel(&driver.queue, gone.id, "no").await?;
    for failed in [claimed.id, gone.id] {
        for (on_failure, expected) in [
            (OnFailure::Fail, TaskState::Dead),
            (OnFailure::Continue, TaskState::Queued),
            (OnFailure::Cancel, TaskState::Cancelled),
        ] {
            let mut task = driver.task();
            task.options.depends_on = vec![failed.into()];
            task.options.on_failure = on_failure;
            driver.enqueue_one(&task).await?;
            driver.claim(0).await?;
            assert_eq!(driver.state(task.id).await?, Some(expected));
        }
    }
    Ok(())
}

/// Q-L12, Q-L21: a waiting task can be called off, and nobody waits for it then.
pub async fn l22_a_waiting_task_can_be_cancelled(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = driver.task();
    let second = driver.after(std::slice::from_ref(&first));
    let third = driver.after(std::slice::from_ref(&second));
    driver.enqueue(&[first.clone(), second.clone(), third.clone()]).await?;
    let was = driver.store().cancel(&driver.queue, second.id, "not needed").await?;
    assert_eq!(was, Some(TaskState::Waiting));
    driver.claim(0).await?;
    assert_eq!(driver.state(third.id).await?, Some(TaskState::Dead));
    assert_eq!(driver.run_ready().await?, [first.id]);
    assert_eq!(driver.state(second.id).await?, Some(TaskState::Cancelled));
    let stats = driver.stats().await?;
    assert_eq!((stats.waiting, stats.cancelled, stats.dead, stats.completed), (0, 1, 1, 1));
    Ok(())
}

impl<H: Harness> Driver<'_, H> {
    /// A task that waits for these.
    pub(super) fn after(&self, before: &[NewTask]) -> NewTask {
        let mut task = self.task();
        task.options.depends_on = before.iter().map(|task| task.id.into()).collect();
        task
    }

    /// Completes what is ready, and what becomes ready by it, until nothing is; answers in which order it was handed out.
    pub(super) async fn run_ready(&self) -> Result<Vec<TaskId>, Error> {
        let mut order = Vec::new();
        let mut held: Vec<ClaimedTask> = Vec::new();
        loop {
            let settle = held.iter().map(|task| settlement(task, completed())).collect();
            let step = crate::Step { settle, credits: 16, ..self.step() };
            let reply = self.store().step(&self.queue, step).await?;
            let is_over = reply.claimed.is_empty() && reply.next_due != Some(Duration::ZERO);
            order.extend(ids(&reply.claimed));
            held = reply.claimed;
            if is_over {
                return Ok(order);
            }
        }
    }
}
