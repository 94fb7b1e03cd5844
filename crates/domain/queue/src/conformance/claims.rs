//! Laws of the claim: one holder, the order, due times, and the wait for work (Q-L3, Q-L5, Q-L7, Q-L15).

use std::{collections::HashSet, time::Duration};

use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;
use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, completed, ids, ids_of},
};
use crate::{Due, Error, Priority, Step, TaskState, limits::MAX_PROMOTED};

/// Long enough for a machine that is busy with other things; no law waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// Q-L3: what is claimed is not claimed again.
pub async fn l3_a_task_has_one_holder_and_fences_increase(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(5)).await?;
    let first = driver.claim(2).await?;
    assert!(first.more_ready);
    let second = driver.claim(10).await?;
    assert!(!second.more_ready);
    assert_eq!((first.claimed.len(), second.claimed.len()), (2, 3));
    let all: Vec<_> = first.claimed.iter().chain(&second.claimed).collect();
    assert_eq!(all.iter().map(|task| task.id).collect::<HashSet<_>>().len(), 5);
    assert!(all.is_sorted_by(|a, b| a.fence < b.fence));
    assert!(first.claimed.iter().all(|task| task.lease_expires_at == first.now.plus(driver.lease())));
    Ok(())
}

/// Q-L3: with everybody asking at once.
pub async fn l3_many_workers_at_once_share_the_tasks(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(200)).await?;
    let replies = try_join_all((0..40).map(|_| driver.claim(7))).await?;
    let claimed: Vec<_> = replies.into_iter().flat_map(|reply| reply.claimed).collect();
    assert_eq!(claimed.len(), 200);
    assert_eq!(ids(&claimed).into_iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(claimed.iter().map(|task| task.fence).collect::<HashSet<_>>().len(), 200);
    Ok(())
}

/// Q-L5: whatever the order of arrival.
pub async fn l5_levels_are_strict_and_each_is_first_in_first_out(harness: &impl Harness) -> Result<(), Error> {
    use Priority::{Critical, High, Low, Normal};
    let driver = Driver::new(harness);
    let arrival = [Low, Normal, Critical, High, Normal, Low, High, Critical];
    let tasks: Vec<_> = arrival.into_iter().map(|level| driver.task_at(level)).collect();
    driver.enqueue(&tasks[..5]).await?;
    driver.enqueue(&tasks[5..]).await?;
    assert_eq!(driver.stats().await?.ready, [2, 2, 2, 2]);

    let expected = [2, 7, 3, 6, 1, 4, 0, 5].map(|index| tasks[index].id);
    let peeked = driver.store().peek(&driver.queue, 10).await?;
    assert_eq!(peeked.iter().filter_map(|task| task.id).collect::<Vec<_>>(), expected);
    let mut claimed = driver.claim_ids(3).await?;
    claimed.extend(driver.claim_ids(10).await?);
    assert_eq!(claimed, expected);
    Ok(())
}

/// Q-L7: by the store's clock, relative or absolute.
pub async fn l7_a_delayed_task_waits_until_it_is_due(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let now = driver.claim(0).await?.now;
    let mut tasks = driver.tasks(3);
    tasks[0].options.due = Due::After(Duration::from_secs(100));
    tasks[1].options.due = Due::At(now.plus(Duration::from_secs(50)));
    tasks[2].options.due = Due::At(now);
    let states = driver.enqueue(&tasks).await?;
    assert_eq!(states, [TaskState::Delayed, TaskState::Delayed, TaskState::Queued], "a time in the past is now");

    let ready = driver.claim(10).await?.claimed;
    assert_eq!(ids(&ready), [tasks[2].id]);
    driver.settle(tasks[2].id, ready[0].fence, completed()).await?;
    driver.advance(Duration::from_secs(40)).await;
    let early = driver.claim(10).await?;
    assert_eq!(ids(&early.claimed), []);
    assert!(early.next_due.is_some(), "it says when to ask again");
    driver.advance(Duration::from_secs(10)).await;
    assert_eq!(driver.claim_ids(10).await?.last(), Some(&tasks[1].id));
    driver.advance(Duration::from_secs(50)).await;
    assert_eq!(driver.claim_ids(10).await?.last(), Some(&tasks[0].id));
    Ok(())
}

/// Q-L7: a million tasks due at once must not stop the store.
pub async fn l7_due_tasks_are_promoted_in_bounded_rounds(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut tasks = driver.tasks(MAX_PROMOTED + 10);
    for task in &mut tasks {
        task.options.due = Due::After(Duration::from_secs(5));
    }
    driver.enqueue(&tasks).await?;
    driver.advance(Duration::from_secs(5)).await;
    let first = driver.claim(MAX_PROMOTED).await?;
    assert_eq!((first.claimed.len(), first.next_due), (MAX_PROMOTED, Some(Duration::ZERO)), "ask again at once");
    let mut claimed = ids(&first.claimed);
    claimed.extend(driver.claim_ids(MAX_PROMOTED).await?);
    assert_eq!(claimed, ids_of(&tasks));
    Ok(())
}

/// Q-L15: the waiter is there before the work.
pub async fn l15_a_wait_ends_when_there_is_work(harness: &impl Harness) -> Result<(), Error> {
    let driver = &Driver::new(harness);
    finds_work(driver, async || {
        driver.store().wait_for_work(&driver.queue, PATIENCE).await?;
        driver.claim_ids(1).await
    })
    .await
}

/// What waits and then claims has each task soon after it was enqueued. It may come back for nothing.
async fn finds_work<H: Harness>(
    driver: &Driver<'_, H>,
    look: impl AsyncFn() -> Result<Vec<TaskId>, Error>,
) -> Result<(), Error> {
    for _ in 0..3 {
        let wait = async {
            loop {
                let claimed = look().await?;
                if !claimed.is_empty() {
                    return Ok::<_, Error>(claimed);
                }
            }
        };
        let enqueue = async {
            tokio::task::yield_now().await;
            let task = driver.task();
            driver.enqueue_one(&task).await?;
            Ok::<_, Error>(task.id)
        };
        let started = tokio::time::Instant::now();
        let (claimed, id) = tokio::try_join!(wait, enqueue)?;
        assert_eq!(claimed, [id]);
        assert!(started.elapsed() < PATIENCE, "woken, not timed out");
    }
    Ok(())
}

/// Q-L15: with nothing to do.
pub async fn l15_a_wait_ends_after_its_timeout(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let wait = driver.store().wait_for_work(&driver.queue, Duration::from_millis(50));
    let ended = tokio::time::timeout(PATIENCE, wait).await;
    assert!(matches!(ended, Ok(Ok(()))), "{ended:?}");
    assert_eq!(driver.claim_ids(1).await?, []);
    Ok(())
}

/// Q-L15: a caller that gives up takes nothing with it.
pub async fn l15_a_dropped_wait_loses_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let abandoned = driver.store().wait_for_work(&driver.queue, PATIENCE);
    let dropped = tokio::time::timeout(Duration::from_millis(20), abandoned).await;
    assert!(dropped.is_err() || matches!(dropped, Ok(Ok(()))), "a wait may end for nothing");

    let task = driver.task();
    driver.enqueue_one(&task).await?;
    let started = tokio::time::Instant::now();
    driver.store().wait_for_work(&driver.queue, PATIENCE).await?;
    assert!(started.elapsed() < PATIENCE, "the wake-up was not swallowed");
    assert_eq!(driver.claim_ids(1).await?, [task.id]);
    Ok(())
}

/// Q-L15: a step may wait itself, and is made when there is work.
pub async fn l15_a_step_may_wait_for_its_work(harness: &impl Harness) -> Result<(), Error> {
    let (driver, hurry) = (&Driver::new(harness), CancellationToken::new());
    finds_work(driver, async || {
        let step = Step { credits: 1, ..driver.step() };
        match driver.store().step_when_ready(&driver.queue, step, PATIENCE, &hurry).await? {
            Some(reply) => Ok(ids(&reply.claimed)),
            // It only waited.
            None => driver.claim_ids(1).await,
        }
    })
    .await
}

/// Q-L15: a step that waits is told to wait no longer, and what it may have claimed is heard of.
pub async fn l15_a_step_that_waits_can_be_hurried(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let driver = &driver;
    let wait = |hurry: CancellationToken| async move {
        let step = Step { credits: 1, ..driver.step() };
        driver.store().step_when_ready(&driver.queue, step, PATIENCE, &hurry).await
    };
    let (started, hurry) = (tokio::time::Instant::now(), CancellationToken::new());
    let waiting = wait(hurry.clone());
    let told = async {
        tokio::task::yield_now().await;
        hurry.cancel();
    };
    let (reply, ()) = tokio::join!(waiting, told);
    assert!(reply?.is_none_or(|reply| reply.claimed.is_empty()));

    for _ in 0..5 {
        let (task, hurry) = (driver.task(), CancellationToken::new());
        let enqueue = async {
            let enqueued = driver.enqueue_one(&task).await;
            hurry.cancel();
            enqueued
        };
        let (reply, enqueued) = tokio::join!(wait(hurry.clone()), enqueue);
        enqueued?;
        let mut claimed = reply?.map(|reply| ids(&reply.claimed)).unwrap_or_default();
        claimed.extend(driver.claim_ids(1).await?);
        assert_eq!(claimed, [task.id], "by the step that waited or after it, and once");
    }
    assert!(started.elapsed() < PATIENCE);
    Ok(())
}
