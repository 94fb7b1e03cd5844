//! Laws of admission: a full queue refuses new tasks and nothing else (Q-L20).

use bytes::Bytes;

use super::{
    Harness,
    driver::{Driver, completed, failed_for_good, ids_of},
};
use crate::{Error, Intake, NewTask, Outcome, QueuePolicy, TaskState};

/// Q-L20: the whole call, and only what is new.
pub async fn l20_a_full_queue_refuses_new_tasks_and_nothing_else(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let limit = QueuePolicy { max_depth: Some(3), ..QueuePolicy::default() };
    driver.store().set_policy(&driver.queue, &limit).await?;
    let mut tasks = driver.tasks(3);
    tasks[0].options.idempotency_key = Some("a".into());
    driver.enqueue(&tasks[..2]).await?;
    is_refused(&driver, &[driver.task(), driver.task()]).await?;
    driver.enqueue(&tasks[2..]).await?;
    is_refused(&driver, &[driver.task()]).await?;

    // What is known already is answered all the same.
    assert!(driver.offer(&tasks).await?.iter().all(|answer| answer.replayed));
    let again = NewTask { id: driver.task().id, ..tasks[0].clone() };
    assert_eq!(driver.offer(&[again]).await?[0].id, tasks[0].id);

    // What is in the queue goes on, above the limit too.
    let claimed = driver.claim(3).await?.claimed;
    is_refused(&driver, &[driver.task()]).await?;
    driver.settle(claimed[0].id, claimed[0].fence, Outcome::Released).await?;
    driver.settle(claimed[1].id, claimed[1].fence, failed_for_good("never")).await?;
    assert_eq!(driver.enqueue_one(&driver.task()).await?, TaskState::Queued, "a dead letter takes no room");
    assert_eq!(driver.store().requeue_dead(&driver.queue, &[claimed[1].id.into()]).await?, 1);
    is_refused(&driver, &[driver.task()]).await?;
    let mut left = driver.claim(1).await?.claimed;
    left.push(claimed[2].clone());
    for task in &left {
        driver.settle(task.id, task.fence, completed()).await?;
    }
    assert_eq!(driver.enqueue_one(&driver.task()).await?, TaskState::Queued, "there is room again");
    is_refused(&driver, &[driver.task()]).await?;
    driver.store().set_policy(&driver.queue, &QueuePolicy::default()).await?;
    driver.enqueue(&driver.tasks(10)).await?;
    Ok(())
}

/// Q-L20: a request of several calls finds room for all of it, or is refused by the first.
pub async fn l20_a_request_of_several_calls_is_refused_by_the_first(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let limit = QueuePolicy { max_depth: Some(10), ..QueuePolicy::default() };
    driver.store().set_policy(&driver.queue, &limit).await?;
    let tasks = driver.tasks(6);
    let refused =
        driver.store().enqueue_with(&driver.queue, &tasks, Intake { more_to_come: 5, ..Intake::default() }).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "{refused:?}");
    let added =
        driver.store().enqueue_with(&driver.queue, &tasks, Intake { more_to_come: 4, ..Intake::default() }).await?;
    assert_eq!(added.iter().map(|answer| answer.id).collect::<Vec<_>>(), ids_of(&tasks));
    Ok(())
}

/// Q-L20: large tasks fill a queue too.
pub async fn l20_a_queue_may_be_full_of_bytes(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let limit = QueuePolicy { max_bytes: Some(100_000), ..QueuePolicy::default() };
    driver.store().set_policy(&driver.queue, &limit).await?;
    // Noise, so that no store makes little of it.
    let noise: Vec<u32> = (0..2_000_u32).map(|n| n.wrapping_mul(2_654_435_769).rotate_left(n)).collect();
    let payload = Bytes::from(format!("{noise:?}"));
    let large = || NewTask { payload: payload.clone(), ..driver.task() };
    is_refused(&driver, &(0..20).map(|_| large()).collect::<Vec<_>>()).await?;
    let mut added = 0;
    while driver.offer(&[large()]).await.is_ok() {
        added += 1;
        assert!(added < 100, "the limit is never reached");
    }
    is_refused(&driver, &[large()]).await?;
    assert!(added > 1, "some fit");
    assert!(driver.stats().await?.bytes > 0, "what they take is told");
    let claimed = driver.claim(100).await?.claimed;
    for task in &claimed {
        driver.settle(task.id, task.fence, completed()).await?;
    }
    assert_eq!(driver.enqueue_one(&large()).await?, TaskState::Queued, "there is room again");
    Ok(())
}

async fn is_refused<H: Harness>(driver: &Driver<'_, H>, tasks: &[NewTask]) -> Result<(), Error> {
    let before = driver.stats().await?.created;
    let refused = driver.offer(tasks).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "{refused:?}");
    assert_eq!(driver.stats().await?.created, before, "all or nothing");
    Ok(())
}
