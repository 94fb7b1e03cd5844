//! Laws of the lease that ends: crashes, crash loops and stalls (Q-L9, Q-L10).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, completed, ids, ids_of},
};
use crate::{Error, Renewed, Settled, TaskState, limits::MAX_REAPED};

/// Q-L9: its worker died; somebody else goes on with it before anything newer.
pub async fn l9_a_lease_that_ends_returns_the_task_to_the_head(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(4);
    driver.enqueue(&tasks).await?;
    driver.claim(2).await?;
    driver.advance_with_steps(driver.lease()).await?;

    let again = driver.claim(4).await?.claimed;
    assert_eq!(ids(&again), ids_of(&tasks));
    let counts: Vec<_> = again.iter().map(|task| (task.attempt, task.crashes)).collect();
    assert_eq!(counts, [(1, 1), (1, 1), (1, 0), (1, 0)], "a crash is not a failed attempt");
    Ok(())
}

/// Q-L9: a task that kills its workers does so a few times only.
pub async fn l9_a_crash_loop_makes_a_dead_letter(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let task = driver.task();
    driver.enqueue_one(&task).await?;
    let limit = harness.config().max_crashes.get();
    for crashes in 0..limit {
        let claimed = driver.claim(1).await?.claimed.remove(0);
        assert_eq!((claimed.id, claimed.crashes), (task.id, crashes));
        driver.advance_with_steps(driver.lease()).await?;
    }
    assert_eq!(driver.claim_ids(1).await?, []);
    let letters = driver.store().dead_letters(&driver.queue, None, 10).await?;
    assert_eq!((letters[0].status.id, letters[0].crashes, letters[0].status.attempts), (task.id, limit, 0));
    assert!(letters[0].status.error.as_ref().is_some_and(|error| error.starts_with("crash loop")));

    driver.store().requeue_dead(&driver.queue, &[task.id.into()]).await?;
    let claimed = driver.claim(1).await?.claimed.remove(0);
    assert_eq!(claimed.crashes, 0, "forgotten");
    let settled = driver.settle(task.id, claimed.fence, completed()).await?;
    assert_eq!(settled, Settled::Applied(TaskState::Completed));
    Ok(())
}

/// Q-L9: a whole fleet that died must not stop the store.
pub async fn l9_ended_leases_are_taken_back_in_bounded_rounds(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(MAX_REAPED + 5);
    driver.enqueue(&tasks).await?;
    driver.claim(tasks.len()).await?;
    let quarter = driver.lease() / 4;
    driver.advance_with_steps(driver.lease() - quarter).await?;
    driver.advance(quarter).await;
    let first = driver.claim(0).await?;
    assert_eq!(first.next_due, Some(Duration::ZERO), "ask again at once");
    let stats = driver.stats().await?;
    assert_eq!((stats.ready[2], stats.active), (MAX_REAPED as u64, 5));
    driver.claim(0).await?;
    assert_eq!(driver.claim_ids(100).await?.len(), tasks.len());
    Ok(())
}

/// Q-L10: everybody was cut off; the first to return must not take the work of those who return second.
pub async fn l10_leases_that_ended_during_a_stall_get_a_grace(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.enqueue(&driver.tasks(2)).await?;
    let claimed = driver.claim(2).await?.claimed;
    driver.advance(driver.lease() + harness.config().stall_threshold).await;

    let first_back = driver.claim(2).await?;
    assert_eq!(ids(&first_back.claimed), []);
    assert!(first_back.next_due.is_some_and(|due| !due.is_zero()), "no reason to ask again before the grace is over");
    assert!(matches!(driver.renew(&claimed[0]).await?, Renewed::Extended { .. }), "alive after all");

    driver.advance(harness.config().stall_grace).await;
    let after = driver.claim(2).await?.claimed;
    assert_eq!(ids(&after), [claimed[1].id], "the other one did not come back");
    assert_eq!(after[0].crashes, 1);
    Ok(())
}

/// Q-L10: a grace is given once for each stall, not again at each rare step.
pub async fn l10_a_queue_with_rare_steps_still_takes_leases_back(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    let rarely = harness.config().stall_threshold * 2 + harness.config().stall_grace;
    let mut found = Vec::new();
    for _ in 0..4 {
        driver.advance(rarely).await;
        found.extend(driver.claim_ids(1).await?);
    }
    assert!(found.starts_with(&[claimed.id]), "handed out again although every step came after a long silence");
    Ok(())
}
