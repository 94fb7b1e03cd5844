//! Laws of what a producer may say about a task (Q-L16 to Q-L20).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, cancelled, completed, failed, failed_for_good, ids, refs},
};
use crate::{Due, Enqueued, Error, NewTask, Outcome, Settled, TaskOptions, TaskState, Unique, UniqueUntil};

/// A task that carries an idempotency key.
fn keyed<H: Harness>(driver: &Driver<'_, H>, key: &str) -> NewTask {
    let mut task = driver.task();
    task.options.idempotency_key = Some(key.into());
    task
}

/// A task that asks for a unique key.
fn unique<H: Harness>(driver: &Driver<'_, H>, key: &str, until: UniqueUntil) -> NewTask {
    let mut task = driver.task();
    task.options.unique = Some(Unique { key: key.into(), until });
    task
}

/// Q-L16: by the store's clock; what comes behind it is handed out.
pub async fn l16_an_expired_task_is_cancelled_instead_of_handed_out(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let now = driver.claim(0).await?.now;
    let mut tasks = driver.tasks(4);
    tasks[0].options.expires_at = Some(now.plus(Duration::from_secs(60)));
    tasks[1].options.expires_at = Some(now.plus(Duration::from_secs(7_200)));
    tasks[2].options.expires_at = Some(now.plus(Duration::from_secs(60)));
    tasks[2].options.due = Due::After(Duration::from_secs(90));
    driver.enqueue(&tasks).await?;
    let status = driver.status(tasks[1].id).await?.map(|status| status.expires_at);
    assert_eq!(status, Some(tasks[1].options.expires_at));
    driver.advance(Duration::from_secs(100)).await;
    let mut claimed = driver.claim_ids(10).await?;
    claimed.extend(driver.claim_ids(10).await?);
    claimed.sort_unstable();
    assert_eq!(claimed, [tasks[1].id, tasks[3].id]);
    for late in [&tasks[0], &tasks[2]] {
        let status = driver.status(late.id).await?;
        let ended = status.map(|it| (it.state, it.error, it.attempts, it.started_at, it.worker_id));
        let reason = Some("expired before it started".to_owned());
        assert_eq!(ended, Some((TaskState::Cancelled, reason, 0, None, None)), "nobody ever worked on it");
    }
    let stats = driver.stats().await?;
    assert_eq!((stats.active, stats.cancelled, stats.ready, stats.delayed), (2, 2, [0; 4], 0));
    Ok(())
}

/// Q-L16: neither another attempt nor a way back from the dead leads past it.
pub async fn l16_no_way_back_leads_past_the_expiry(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let now = driver.claim(0).await?.now;
    let mut tasks = driver.tasks(3);
    for task in &mut tasks {
        task.options.expires_at = Some(now.plus(Duration::from_secs(30)));
    }
    driver.enqueue(&tasks).await?;
    let claimed = driver.claim(3).await?.claimed;
    let outcomes = [failed("again"), Outcome::Released, failed_for_good("never")];
    for (task, outcome) in claimed.iter().zip(outcomes) {
        driver.settle(task.id, task.fence, outcome).await?;
    }
    driver.advance(Duration::from_secs(61)).await;
    driver.store().requeue_dead(&driver.queue, &[tasks[2].id.into()]).await?;
    for _ in 0..3 {
        assert_eq!(driver.claim_ids(10).await?, []);
    }
    for task in &tasks {
        assert_eq!(driver.state(task.id).await?, Some(TaskState::Cancelled));
    }
    Ok(())
}

/// Q-L16: also a whole page of them, in bounded steps.
pub async fn l16_many_expired_tasks_are_worked_off(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let now = driver.claim(0).await?.now;
    let mut tasks = driver.tasks(200);
    for task in &mut tasks {
        task.options.expires_at = Some(now);
    }
    let last = driver.task();
    driver.enqueue(&tasks).await?;
    driver.enqueue(std::slice::from_ref(&last)).await?;
    let mut claimed = Vec::new();
    for _ in 0..8 {
        claimed.extend(driver.claim_ids(2).await?);
    }
    assert_eq!(claimed, [last.id]);
    let stats = driver.stats().await?;
    assert_eq!((stats.cancelled, stats.expired), (200, 200));
    Ok(())
}

/// Q-L18: until it is done, whatever happens to it before.
pub async fn l18_a_unique_key_is_held_until_the_task_is_done(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = unique(&driver, "a", UniqueUntil::Done);
    let again = || unique(&driver, "a", UniqueUntil::Done);
    let answer = |state, replayed| Enqueued { id: first.id, state, replayed };
    let answers = driver.offer(&[first.clone(), again(), unique(&driver, "b", UniqueUntil::Done)]).await?;
    assert_eq!(answers[..2], [answer(TaskState::Queued, false), answer(TaskState::Queued, true)]);
    assert!(!answers[2].replayed, "another key");
    let claimed = driver.claim(1).await?.claimed;
    assert_eq!(driver.offer(&[again()]).await?, [answer(TaskState::Active, true)]);
    driver.settle(first.id, claimed[0].fence, failed("again")).await?;
    assert_eq!(driver.offer(&[again()]).await?, [answer(TaskState::Failed, true)]);
    driver.advance(Duration::from_secs(61)).await;
    let claimed = driver.claim(2).await?.claimed;
    let held = claimed.iter().find(|task| task.id == first.id).map(|task| task.fence);
    if let Some(fence) = held {
        driver.settle(first.id, fence, completed()).await?;
    }
    let next = again();
    assert_eq!(driver.offer(std::slice::from_ref(&next)).await?[0].id, next.id, "the key is free again");
    assert_eq!(driver.offer(&[again()]).await?[0].id, next.id, "and held by the next one");
    Ok(())
}

/// Q-L18: every end lets go, death included; what returns from it does not take the key back.
pub async fn l18_every_end_frees_the_unique_key(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let again = || unique(&driver, "a", UniqueUntil::Done);
    let mut before = Vec::new();
    for outcome in [completed(), cancelled("enough"), failed_for_good("never")] {
        let task = again();
        let claimed = driver.claimed(task.clone()).await?;
        driver.settle(task.id, claimed.fence, outcome).await?;
        before.push(task.id);
    }
    let waiting = again();
    assert!(!driver.offer(std::slice::from_ref(&waiting)).await?[0].replayed);
    driver.store().cancel(&driver.queue, waiting.id, "not needed").await?;
    driver.store().requeue_dead(&driver.queue, &refs(&before[2..])).await?;
    let last = again();
    assert!(!driver.offer(std::slice::from_ref(&last)).await?[0].replayed, "a requeued letter holds nothing");
    let mut crashing = driver.claim(2).await?.claimed;
    assert_eq!(crashing.len(), 2);
    for _ in 0..harness.config().max_crashes.get() {
        driver.advance(driver.lease() + harness.config().stall_grace * 2).await;
        driver.claim(0).await?;
        driver.advance(harness.config().stall_grace).await;
        crashing = driver.claim(2).await?.claimed;
    }
    assert_eq!(crashing, [], "a crash loop");
    assert!(!driver.offer(&[again()]).await?[0].replayed, "which frees the key too");
    Ok(())
}

/// Q-L18: one that waits, while another may run.
pub async fn l18_a_unique_key_may_be_free_once_the_task_starts(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let again = || unique(&driver, "a", UniqueUntil::Started);
    let (first, second) = (again(), again());
    driver.offer(std::slice::from_ref(&first)).await?;
    assert_eq!(driver.offer(&[again()]).await?[0].id, first.id);
    let claimed = driver.claim(1).await?.claimed;
    assert!(!driver.offer(std::slice::from_ref(&second)).await?[0].replayed);
    driver.settle(first.id, claimed[0].fence, Outcome::Released).await?;
    assert_eq!(driver.offer(&[again()]).await?[0].id, second.id, "what is given back does not take the key back");
    driver.store().cancel(&driver.queue, first.id, "not needed").await?;
    assert_eq!(driver.offer(&[again()]).await?[0].id, second.id, "nor does its end free the key of another");
    Ok(())
}

/// Q-L18 with Q-L17: the key of the request names the task that holds the unique key.
pub async fn l18_an_idempotency_key_may_name_the_holder(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let holder = unique(&driver, "a", UniqueUntil::Done);
    let request = || {
        let mut task = unique(&driver, "a", UniqueUntil::Done);
        task.options.idempotency_key = Some("request".into());
        task
    };
    let claimed = driver.claimed(holder.clone()).await?;
    assert_eq!(driver.offer(&[request()]).await?[0].id, holder.id);
    driver.settle(holder.id, claimed.fence, completed()).await?;
    let answer = Enqueued { id: holder.id, state: TaskState::Completed, replayed: true };
    assert_eq!(driver.offer(&[request()]).await?, [answer], "the request was answered by that one");
    Ok(())
}

/// Q-L19: longer and shorter than the configured time, beside tasks that have that.
pub async fn l19_a_task_may_have_a_retention_of_its_own(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let configured = harness.config().retention;
    let mut tasks = driver.tasks(3);
    tasks[1].options.retention = Some(configured * 3);
    tasks[2].options.retention = Some(Duration::from_secs(100));
    driver.enqueue(&tasks).await?;
    for task in driver.claim(3).await?.claimed {
        driver.settle(task.id, task.fence, completed()).await?;
        assert_eq!(driver.settle(task.id, task.fence, completed()).await?, Settled::Applied(TaskState::Completed));
    }
    // Another end in the same bucket must not shorten what is there.
    let claimed = driver.claimed(driver.task()).await?;
    driver.settle(claimed.id, claimed.fence, completed()).await?;
    let states = async || -> Result<Vec<bool>, Error> {
        let mut known = Vec::new();
        for task in &tasks {
            known.push(driver.state(task.id).await?.is_some());
        }
        Ok(known)
    };
    assert_eq!(states().await?, [true, true, true]);
    driver.advance(Duration::from_secs(200)).await;
    assert_eq!(states().await?, [true, true, false]);
    driver.advance(configured).await;
    assert_eq!(states().await?, [false, true, false]);
    assert!(driver.offer(&tasks[1..2]).await?[0].replayed, "its id is remembered as long");
    driver.advance(configured * 2).await;
    assert_eq!(states().await?, [false, false, false]);
    Ok(())
}

/// Q-L19: zero.
pub async fn l19_nothing_is_kept_of_a_task_without_retention(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let forgotten = TaskOptions { retention: Some(Duration::ZERO), ..driver.task().options };
    let keyed = TaskOptions { idempotency_key: Some("a".into()), ..forgotten.clone() };
    let (task, other) = (driver.task_with(keyed.clone()), driver.task_with(forgotten));
    let claimed = driver.claimed(task.clone()).await?;
    driver.settle(task.id, claimed.fence, completed()).await?;
    assert_eq!(driver.status(task.id).await?, None);
    assert_eq!(driver.settle(task.id, claimed.fence, completed()).await?, Settled::LeaseLost);
    let answer = Enqueued { id: task.id, state: TaskState::Completed, replayed: true };
    assert_eq!(driver.offer(&[driver.task_with(keyed)]).await?, [answer], "its key is remembered all the same");
    driver.enqueue_one(&other).await?;
    driver.store().cancel(&driver.queue, other.id, "not needed").await?;
    assert_eq!(driver.status(other.id).await?, None);
    let stats = driver.stats().await?;
    assert_eq!((stats.created, stats.completed, stats.cancelled), (2, 1, 1), "it is counted all the same");
    Ok(())
}

/// Q-L17: wherever the first task is by then.
pub async fn l17_a_key_answers_the_task_that_it_named_first(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (first, second, other) = (keyed(&driver, "a"), keyed(&driver, "a"), keyed(&driver, "b"));
    let answer = |state, replayed| Enqueued { id: first.id, state, replayed };
    // In one call, in the next one, while it runs, and when it has ended.
    let answers = driver.offer(&[first.clone(), second.clone(), other.clone(), driver.task()]).await?;
    assert_eq!(answers[..2], [answer(TaskState::Queued, false), answer(TaskState::Queued, true)]);
    assert_eq!((answers[2].id, answers[2].replayed, answers[3].replayed), (other.id, false, false));
    assert_eq!(driver.offer(&[keyed(&driver, "a")]).await?, [answer(TaskState::Queued, true)]);
    let claimed = driver.claim(1).await?.claimed;
    assert_eq!(ids(&claimed), [first.id]);
    assert_eq!(driver.offer(&[keyed(&driver, "a")]).await?, [answer(TaskState::Active, true)]);
    driver.settle(first.id, claimed[0].fence, completed()).await?;
    assert_eq!(driver.offer(&[keyed(&driver, "a")]).await?, [answer(TaskState::Completed, true)]);
    assert_eq!(driver.state(second.id).await?, None, "the second task never existed");
    assert_eq!(driver.stats().await?.created, 3);
    Ok(())
}

/// Q-L17: another content, whatever differs, and the rest of the call with it.
pub async fn l17_a_key_with_another_request_is_refused_with_the_whole_call(
    harness: &impl Harness,
) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = keyed(&driver, "a");
    driver.offer(std::slice::from_ref(&first)).await?;
    let mut others = vec![keyed(&driver, "a"), keyed(&driver, "a"), keyed(&driver, "a"), keyed(&driver, "a")];
    others[0].payload = "7".into();
    others[1].kind = "another.kind".into();
    others[2].options.due = Due::After(Duration::from_secs(1));
    others[3].options.tags = vec!["a".into()];
    for other in others {
        let refused = driver.offer(&[driver.task(), keyed(&driver, "b"), other.clone()]).await;
        let is_reused = |source: &Error| matches!(source, Error::IdempotencyKeyReused(id) if *id == first.id);
        assert!(matches!(&refused, Err(Error::Item { index: 2, source }) if is_reused(source)), "{refused:?}");
    }
    let mut two = [keyed(&driver, "c"), keyed(&driver, "c")];
    two[1].payload = "7".into();
    let refused = driver.offer(&two).await;
    assert!(matches!(&refused, Err(Error::Item { index: 1, .. })), "in one call: {refused:?}");
    assert_eq!(driver.stats().await?.created, 1, "all or nothing");
    assert!(!driver.offer(&[keyed(&driver, "b")]).await?[0].replayed, "a refused call leaves no key behind");
    Ok(())
}

/// Q-L17: the time counts from the first request.
pub async fn l17_a_key_is_forgotten_when_its_time_is_over(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let first = keyed(&driver, "a");
    driver.offer(std::slice::from_ref(&first)).await?;
    let ttl = harness.config().idempotency_ttl;
    driver.advance(ttl - Duration::from_secs(60)).await;
    assert_eq!(driver.offer(&[keyed(&driver, "a")]).await?[0].id, first.id);
    driver.advance(Duration::from_secs(120)).await;
    let second = keyed(&driver, "a");
    let answers = driver.offer(&[second.clone(), keyed(&driver, "a")]).await?;
    assert_eq!((answers[0].id, answers[0].replayed), (second.id, false));
    assert_eq!(answers[1].id, second.id, "the key names the new one from then on");
    Ok(())
}

/// Q-L17 with Q-L1: a call whose answer was lost is repeated with the same ids and keys.
pub async fn l17_a_repeated_call_answers_the_tasks_that_it_made(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = [keyed(&driver, "a"), driver.task(), keyed(&driver, "b")];
    let first = driver.offer(&tasks).await?;
    let again = driver.offer(&tasks).await?;
    assert_eq!(
        again.iter().map(|answer| answer.id).collect::<Vec<_>>(),
        first.iter().map(|answer| answer.id).collect::<Vec<_>>()
    );
    assert!(first.iter().all(|answer| !answer.replayed) && again.iter().all(|answer| answer.replayed));
    assert_eq!(driver.stats().await?.created, 3);
    Ok(())
}
