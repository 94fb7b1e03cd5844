//! Laws of the dead letters: they can be read, tried again and removed (Q-L2, Q-L8).

use std::time::Duration;

use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, failed_for_good, ids, settlement},
};
use crate::{DeadCursor, Error, Settled, TaskState};

/// Page by page, also when many died in one millisecond, and when one of them is gone meanwhile.
pub async fn dead_letters_are_paged_newest_first(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut dead = Vec::new();
    for count in [3, 4] {
        dead.extend(bury(&driver, count).await?);
        driver.advance(Duration::from_secs(1)).await;
    }
    dead.reverse();

    let mut seen: Vec<TaskId> = Vec::new();
    let mut cursor = None;
    loop {
        let page = driver.store().dead_letters(&driver.queue, cursor, 2).await?;
        let Some(last) = page.last() else { break };
        let died_at = last.status.finished_at.unwrap_or_else(|| unreachable!("it died"));
        cursor = Some(DeadCursor { died_at, id: last.status.id });
        seen.extend(page.iter().map(|letter| letter.status.id));
        // The place where the page ended stays good when its letter is taken away.
        driver.store().purge_dead(&driver.queue, &[last.status.id]).await?;
    }
    assert_eq!(seen, dead);
    assert_eq!(driver.stats().await?.dead, 3);
    Ok(())
}

/// At the tail, with attempts, crashes and the error forgotten.
pub async fn dead_letters_are_requeued_as_if_new(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let dead = bury(&driver, 2).await?;
    let waiting = driver.task();
    driver.enqueue_one(&waiting).await?;
    let given = [dead[0], waiting.id, dead[1], dead[0], driver.task().id];
    assert_eq!(driver.store().requeue_dead(&driver.queue, &given).await?, 2, "those that are dead, once");
    let status = driver.status(dead[0]).await?.unwrap_or_else(|| unreachable!("requeued"));
    assert_eq!((status.state, status.attempts, status.error), (TaskState::Queued, 0, None));
    assert_eq!((status.started_at, status.finished_at), (None, None));
    let claimed = driver.claim(10).await?.claimed;
    assert_eq!(ids(&claimed), [waiting.id, dead[0], dead[1]]);
    assert_eq!((claimed[1].attempt, claimed[1].crashes), (1, 0));
    assert_eq!(driver.stats().await?.created, 3, "nothing new");
    Ok(())
}

/// The payload is gone; that it died is known until its retention is over.
pub async fn purged_dead_letters_leave_only_their_status(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let dead = bury(&driver, 2).await?;
    let before = driver.status(dead[0]).await?;
    assert_eq!(driver.store().purge_dead(&driver.queue, &[dead[0], dead[0]]).await?, 1);
    assert_eq!(driver.store().purge_dead(&driver.queue, &[dead[0]]).await?, 0);
    assert_eq!(driver.status(dead[0]).await?, before);
    assert_eq!(driver.store().requeue_dead(&driver.queue, &[dead[0]]).await?, 0);
    let letters = driver.store().dead_letters(&driver.queue, None, 10).await?;
    assert_eq!(letters.iter().map(|letter| letter.status.id).collect::<Vec<_>>(), [dead[1]]);
    let stats = driver.stats().await?;
    assert_eq!((stats.created, stats.dead, stats.purged), (2, 1, 1));
    driver.advance(harness.config().retention + Duration::from_secs(60)).await;
    assert_eq!(driver.status(dead[0]).await?, None);
    assert_eq!(driver.state(dead[1]).await?, Some(TaskState::Dead), "a dead letter waits for a decision");
    Ok(())
}

/// Enqueues tasks that die in one call; answers their ids in the order in which they were made.
async fn bury<H: Harness>(driver: &Driver<'_, H>, count: usize) -> Result<Vec<TaskId>, Error> {
    driver.enqueue(&driver.tasks(count)).await?;
    let claimed = driver.claim(count).await?.claimed;
    let settle = claimed.iter().map(|task| settlement(task, failed_for_good("broken"))).collect();
    assert_eq!(driver.settle_all(settle).await?, vec![Settled::Applied(TaskState::Dead); count]);
    Ok(ids(&claimed))
}
