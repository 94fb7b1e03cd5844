//! Laws of what a producer may say about a task (Q-L16 to Q-L20).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, completed, ids},
};
use crate::{Due, Enqueued, Error, NewTask, TaskState};

/// A task that carries an idempotency key.
fn keyed<H: Harness>(driver: &Driver<'_, H>, key: &str) -> NewTask {
    let mut task = driver.task();
    task.options.idempotency_key = Some(key.into());
    task
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
    driver.offer(&[keyed(&driver, "a")]).await?;
    let mut others = vec![keyed(&driver, "a"), keyed(&driver, "a"), keyed(&driver, "a"), keyed(&driver, "a")];
    others[0].payload = "7".into();
    others[1].kind = "another.kind".into();
    others[2].options.due = Due::After(Duration::from_secs(1));
    others[3].options.tags = vec!["a".into()];
    for other in others {
        let refused = driver.offer(&[driver.task(), keyed(&driver, "b"), other.clone()]).await;
        let is_reused = |source: &Error| matches!(source, Error::IdempotencyKeyReused);
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
