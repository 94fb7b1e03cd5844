//! Laws of the workers: who is there, and what it holds (Q-L33).

use std::time::Duration;

use trackside_core::WorkerId;

use super::{
    Harness,
    driver::{Driver, completed, ids_of},
};
use crate::{Error, Step, WorkerStatus};

/// Q-L33: a worker that says how many places it has, until it says that it leaves.
pub async fn l33_a_worker_is_listed_with_what_it_holds(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    assert_eq!(driver.workers().await?, [], "a queue that nobody used");
    driver.claim(0).await?;
    assert_eq!(driver.workers().await?, [], "who neither asks nor says is no worker");
    let tasks = driver.tasks(3);
    driver.enqueue(&tasks).await?;
    let with_places = |slots, credits| Step { slots: Some(slots), credits, ..driver.step() };
    let reply = driver.store().step(&driver.queue, with_places(8, 2)).await?;

    let [worker] = driver.workers().await?.try_into().unwrap_or_else(|all| unreachable!("{all:?}"));
    assert_eq!((&worker.id, worker.slots, worker.active), (&driver.worker, 8, 2));
    let held: Vec<_> = worker.tasks.iter().map(|task| task.id).collect();
    assert_eq!(held, ids_of(&tasks[..2]), "in the order in which they were handed out");
    assert!(worker.tasks.iter().all(|task| task.started_at == reply.now), "{worker:?}");
    assert!(worker.since <= worker.last_seen_at, "{worker:?}");
    let stats = driver.stats().await?;
    assert_eq!((stats.workers, stats.slots), (1, 8));

    for task in &reply.claimed {
        driver.settle(task.id, task.fence, completed()).await?;
    }
    assert_eq!(driver.workers().await?[0].active, 0, "what was settled is out of its hands");
    driver.store().step(&driver.queue, with_places(0, 0)).await?;
    assert_eq!(driver.workers().await?, [], "it has left");
    assert_eq!(driver.stats().await?.workers, 0);
    Ok(())
}

/// Q-L33: a worker that nobody has heard of for a minute.
pub async fn l33_a_worker_that_is_gone_is_listed_while_it_holds_something(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut task = driver.task();
    task.options.lease = Some(Duration::from_secs(600));
    let task = driver.claimed(task).await?;
    let others: Vec<Driver<'_, _>> = (0..40).map(|_| driver.another_worker()).collect();
    for other in &others {
        other.claim(1).await?;
    }
    let listed = driver.workers().await?;
    assert_eq!(listed.len(), 41);
    assert!(listed.is_sorted_by_key(|worker| worker.id.to_string()), "by name");

    driver.advance(Duration::from_secs(61)).await;
    let is_holder = |workers: &[WorkerStatus]| matches!(workers, [worker] if worker.id == driver.worker && worker.active == 1 && worker.slots == 1);
    let left = driver.workers().await?;
    assert!(is_holder(&left), "{left:?}");
    assert_eq!(driver.stats().await?.workers, 0, "it was not seen during the last minute");
    driver.another_worker().claim(1).await?;
    assert_eq!(driver.stats().await?.workers, 1, "those that are gone are not counted with a new one");
    driver.settle(task.id, task.fence, completed()).await?;
    assert!(driver.workers().await?.iter().all(|worker| worker.id != driver.worker));
    Ok(())
}

/// Q-L33: a worker that does not say how many places it has.
pub async fn l33_a_worker_has_the_places_that_it_asks_for_and_those_in_use(
    harness: &impl Harness,
) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(5)).await?;
    let slots_of = |workers: Vec<WorkerStatus>, id: &WorkerId| {
        workers.into_iter().find(|worker| worker.id == *id).map(|worker| (worker.slots, worker.active))
    };
    driver.claim(2).await?;
    assert_eq!(slots_of(driver.workers().await?, &driver.worker), Some((2, 2)), "as many as it asked for");
    // What it says next is noted at once.
    driver.store().step(&driver.queue, Step { slots: Some(0), ..driver.step() }).await?;
    driver.claim(4).await?;
    assert_eq!(slots_of(driver.workers().await?, &driver.worker), Some((6, 5)), "and those in use");
    let other = driver.another_worker();
    other.claim(1).await?;
    assert_eq!(slots_of(driver.workers().await?, &other.worker), Some((1, 0)));
    let stats = driver.stats().await?;
    assert_eq!((stats.workers, stats.slots), (2, 7));
    Ok(())
}
