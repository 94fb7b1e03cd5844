//! Laws of the dead letters: they can be read, tried again and removed (Q-L2, Q-L8).

use std::{num::NonZeroU32, time::Duration};

use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, completed, failed, failed_for_good, ids, settlement},
};
use crate::{DeadCursor, DeadRef, EndedAttempt, Error, MAX_BATCH, Outcome, RetryPolicy, Settled, Step, TaskState};

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
        driver.store().purge_dead(&driver.queue, &[last.status.id.into()]).await?;
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
    let given = [dead[0], waiting.id, dead[1], dead[0], driver.task().id].map(DeadRef::from);
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
    assert_eq!(driver.store().purge_dead(&driver.queue, &[dead[0].into(), dead[0].into()]).await?, 1);
    assert_eq!(driver.store().purge_dead(&driver.queue, &[dead[0].into()]).await?, 0);
    assert_eq!(driver.status(dead[0]).await?, before);
    assert_eq!(driver.store().requeue_dead(&driver.queue, &[dead[0].into()]).await?, 0);
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

/// Q-L31: failures and crashes, the last ten of them, as long as the task has a status.
pub async fn l31_a_task_tells_the_attempts_that_failed(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut task = driver.task();
    task.options.retry = RetryPolicy::Fixed { delay_ms: 0 };
    task.options.max_attempts = NonZeroU32::new(13).unwrap_or(NonZeroU32::MIN);
    let mut claimed = driver.claimed(task.clone()).await?;
    assert_eq!(driver.history(task.id).await?, []);
    for attempt in 1..=12 {
        let long = format!("{attempt} {}", "\u{e4}".repeat(300));
        driver.settle(task.id, claimed.fence, failed(&long)).await?;
        claimed = driver.claim(1).await?.claimed.remove(0);
    }
    let history = driver.history(task.id).await?;
    assert_eq!(history.iter().map(|past| past.attempt).collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    assert!(history.iter().all(|past| past.worker_id == driver.worker.as_str() && past.started_at <= past.ended_at));
    assert!(history[0].error.starts_with("3 \u{e4}") && (250..=256).contains(&history[0].error.len()));

    driver.advance_with_steps(driver.lease() + Duration::from_secs(1)).await?;
    claimed = driver.claim(1).await?.claimed.remove(0);
    let crash = driver.history(task.id).await?.remove(9);
    assert_eq!((crash.attempt, crash.error.as_str()), (13, "its lease ended without a result"));
    driver.settle(task.id, claimed.fence, Outcome::Released).await?;
    assert_eq!(driver.history(task.id).await?[9], crash, "a give-back is no failure");

    claimed = driver.claim(1).await?.claimed.remove(0);
    driver.settle(task.id, claimed.fence, failed("the last one")).await?;
    let letter = driver.store().dead_letters(&driver.queue, None, 1).await?.remove(0);
    assert_eq!(letter.status.history[9].error, "the last one");
    driver.store().purge_dead(&driver.queue, &[task.id.into()]).await?;
    assert_eq!(driver.history(task.id).await?, letter.status.history);
    let stats = driver.stats().await?;
    let events = (stats.failed, stats.retried, stats.crashed, stats.expired);
    assert_eq!(events, (13, 12, 1, 0), "each is counted apart");
    Ok(())
}

/// Q-L31: what began when, whatever it came to, and nothing of what had ended before.
pub async fn l31_a_step_that_asks_is_told_the_attempts_that_it_ends(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(4)).await?;
    let reply = driver.claim(4).await?;
    let (begun, claimed) = (reply.now, reply.claimed);
    driver.advance(Duration::from_secs(1)).await;
    driver.settle(claimed[0].id, claimed[0].fence, completed()).await?;
    let outcomes = [completed(), completed(), failed("again"), Outcome::Released];
    let mut settle: Vec<_> = claimed.iter().zip(outcomes).map(|(task, outcome)| settlement(task, outcome)).collect();
    settle.push(settle[1].clone());
    let step = Step { settle, tell_attempts: true, ..driver.step() };
    let reply = driver.store().step(&driver.queue, step).await?;
    assert_eq!(reply.settled.len(), 5);
    let attempt = Some(EndedAttempt { kind: "law.test".into(), started_at: begun });
    assert_eq!(reply.attempts, [None, attempt.clone(), attempt.clone(), attempt, None]);
    assert!(reply.now.millis_since(begun) >= 1_000);
    let stats = driver.stats().await?;
    assert_eq!((stats.failed, stats.retried), (1, 1));
    Ok(())
}

/// Q-L31: whoever decided by what a letter said does not touch the letter that it became.
pub async fn l31_a_letter_that_died_anew_is_left_alone(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let dead = bury(&driver, 1).await?;
    let seen = driver.store().dead_letters(&driver.queue, None, 1).await?.remove(0);
    let seen = DeadRef::from(seen.cursor());
    driver.advance(Duration::from_secs(1)).await;
    driver.store().requeue_dead(&driver.queue, &[dead[0].into()]).await?;
    let claimed = driver.claim(1).await?.claimed.remove(0);
    driver.settle(dead[0], claimed.fence, failed_for_good("again")).await?;
    assert_eq!(driver.store().requeue_dead(&driver.queue, &[seen]).await?, 0);
    assert_eq!(driver.store().purge_dead(&driver.queue, &[seen]).await?, 0);
    let now = driver.store().dead_letters(&driver.queue, None, 1).await?.remove(0);
    assert_eq!(now.status.history.len(), 1, "requeued as if new");
    assert_eq!(driver.store().purge_dead(&driver.queue, &[now.cursor().into()]).await?, 1);
    Ok(())
}

/// Q-L32: by age and by number, oldest first, in bounded rounds.
pub async fn l32_old_and_surplus_letters_are_told(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let config = harness.config();
    assert!(config.dead_max_count <= 300, "set it low in the harness, or this law takes long");
    let kept = usize::try_from(config.dead_max_count).unwrap_or(usize::MAX);
    let first = bury(&driver, 3).await?;
    driver.advance(Duration::from_secs(1)).await;
    assert_eq!(driver.store().overdue_dead(&driver.queue, 10).await?, []);
    let mut all = first.clone();
    while all.len() < kept + 2 {
        all.extend(bury(&driver, (kept + 2 - all.len()).min(MAX_BATCH)).await?);
    }
    let overdue = driver.store().overdue_dead(&driver.queue, 10).await?;
    assert_eq!(overdue.iter().map(|letter| letter.id).collect::<Vec<_>>(), first[..2], "more than are kept");

    driver.advance(config.dead_max_age - Duration::from_millis(500)).await;
    let overdue = driver.store().overdue_dead(&driver.queue, 10).await?;
    assert_eq!(overdue.iter().map(|letter| letter.id).collect::<Vec<_>>(), first, "older than they are kept");
    driver.advance(Duration::from_secs(1)).await;
    let overdue = driver.store().overdue_dead(&driver.queue, 2).await?;
    assert_eq!(overdue.len(), 2, "no more than asked for");
    let refs: Vec<DeadRef> = overdue.into_iter().map(Into::into).collect();
    assert_eq!(driver.store().purge_dead(&driver.queue, &refs).await?, 2);
    assert_eq!(driver.audit().await?.purged, 2);
    Ok(())
}
