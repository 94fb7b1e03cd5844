//! Laws of cancel and pause (Q-L12, Q-L13).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, completed, failed, failed_for_good, user},
};
use crate::{BrakeScope, Due, Error, Order, Outcome, Renewed, Settled, TaskState};

/// Q-L12: ready, delayed, between attempts or parked.
pub async fn l12_a_waiting_task_is_cancelled_at_once(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let alice = user("alice");
    let retried = driver.claimed(driver.task()).await?;
    driver.settle(retried.id, retried.fence, failed("once")).await?;
    let parked = driver.task_of(&alice);
    driver.enqueue_one(&parked).await?;
    driver.brake(BrakeScope::User(alice), true, 1).await?;
    driver.claim(1).await?;
    let (ready, survivor, mut delayed) = (driver.task(), driver.task(), driver.task());
    delayed.options.due = Due::After(Duration::from_secs(600));
    driver.enqueue(&[ready.clone(), survivor.clone(), delayed.clone()]).await?;

    let cases = [
        (ready.id, TaskState::Queued),
        (delayed.id, TaskState::Delayed),
        (retried.id, TaskState::Failed),
        (parked.id, TaskState::Parked),
    ];
    for (id, had) in cases {
        assert_eq!(driver.store().cancel(&driver.queue, id, "called off").await?, Some(had));
        let status = driver.status(id).await?.unwrap_or_else(|| unreachable!("cancelled"));
        assert_eq!((status.state, status.error.as_deref()), (TaskState::Cancelled, Some("called off")));
        assert!(status.finished_at.is_some());
        assert_eq!(driver.store().cancel(&driver.queue, id, "again").await?, Some(TaskState::Cancelled));
    }
    let stats = driver.stats().await?;
    assert_eq!((stats.ready[2], stats.delayed, stats.parked, stats.cancelled), (1, 0, 0, 4));
    let peeked = driver.store().peek(&driver.queue, 5).await?;
    assert_eq!(peeked.iter().map(|task| task.id).collect::<Vec<_>>(), [Some(survivor.id)]);
    driver.advance(Duration::from_secs(700)).await;
    assert_eq!(driver.claim_ids(5).await?, [survivor.id], "and never handed out");
    assert!(!driver.claim(0).await?.more_ready);
    Ok(())
}

/// Q-L12: from the next renewal on, until it is settled.
pub async fn l12_a_running_task_carries_the_order_to_cancel(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    assert_eq!(driver.store().cancel(&driver.queue, claimed.id, "wrong file").await?, Some(TaskState::Active));
    for _ in 0..2 {
        let renewed = driver.renew(&claimed).await?;
        assert!(matches!(renewed, Renewed::Extended { order: Some(Order::Cancel), .. }), "{renewed:?}");
        assert_eq!(driver.state(claimed.id).await?, Some(TaskState::Active));
    }
    let outcome = Outcome::Cancelled { reason: "stopped by order".into() };
    assert_eq!(driver.settle(claimed.id, claimed.fence, outcome).await?, Settled::Applied(TaskState::Cancelled));
    let status = driver.status(claimed.id).await?.unwrap_or_else(|| unreachable!("cancelled"));
    assert_eq!((status.attempts, status.error.as_deref()), (1, Some("wrong file")), "the reason of who ordered it");

    // A handler that finished first has finished.
    let finished = driver.claimed(driver.task()).await?;
    driver.store().cancel(&driver.queue, finished.id, "too late").await?;
    let settled = driver.settle(finished.id, finished.fence, completed()).await?;
    assert_eq!(settled, Settled::Applied(TaskState::Completed));
    Ok(())
}

/// Q-L12: whatever else happens to the attempt, the task is not tried again.
pub async fn l12_an_order_to_cancel_outlives_release_failure_and_crash(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    for outcome in [Outcome::Released, failed("killed"), failed_for_good("killed")] {
        let claimed = driver.claimed(driver.task()).await?;
        driver.store().cancel(&driver.queue, claimed.id, "called off").await?;
        let settled = driver.settle(claimed.id, claimed.fence, outcome.clone()).await?;
        assert_eq!(settled, Settled::Applied(TaskState::Cancelled), "{outcome:?}");
        let repeated = driver.settle(claimed.id, claimed.fence, outcome).await?;
        assert_eq!(repeated, Settled::Applied(TaskState::Cancelled));
    }
    let claimed = driver.claimed(driver.task()).await?;
    driver.store().cancel(&driver.queue, claimed.id, "called off").await?;
    driver.advance_with_steps(driver.lease()).await?;
    assert_eq!(driver.claim_ids(1).await?, []);
    let status = driver.status(claimed.id).await?.unwrap_or_else(|| unreachable!("cancelled"));
    assert_eq!((status.state, status.error.as_deref()), (TaskState::Cancelled, Some("called off")));
    let stats = driver.stats().await?;
    assert_eq!((stats.cancelled, stats.active, stats.ready[2], stats.dead), (4, 0, 0, 0));
    Ok(())
}

/// Q-L12: there is nothing to call off.
pub async fn l12_a_finished_task_is_left_as_it_is(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let done = driver.claimed(driver.task()).await?;
    driver.settle(done.id, done.fence, completed()).await?;
    let dead = driver.claimed(driver.task()).await?;
    driver.settle(dead.id, dead.fence, failed_for_good("broken")).await?;
    for (id, state) in [(done.id, TaskState::Completed), (dead.id, TaskState::Dead)] {
        let before = driver.status(id).await?;
        assert_eq!(driver.store().cancel(&driver.queue, id, "late").await?, Some(state));
        assert_eq!(driver.status(id).await?, before);
    }
    let unknown = driver.task().id;
    assert_eq!(driver.store().cancel(&driver.queue, unknown, "who?").await?, None);
    Ok(())
}

/// Q-L13: and still accepts, settles and renews.
pub async fn l13_a_paused_queue_hands_out_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let held = driver.claimed(driver.task()).await?;
    driver.store().set_paused(&driver.queue, true).await?;
    driver.store().set_paused(&driver.queue, true).await?;
    let task = driver.task();
    assert_eq!(driver.enqueue_one(&task).await?, TaskState::Queued);
    let reply = driver.claim(5).await?;
    assert_eq!((reply.claimed.len(), reply.paused, reply.more_ready), (0, true, true));
    assert!(driver.stats().await?.paused);
    assert!(matches!(driver.renew(&held).await?, Renewed::Extended { order: None, .. }));
    assert_eq!(driver.settle(held.id, held.fence, completed()).await?, Settled::Applied(TaskState::Completed));

    driver.store().set_paused(&driver.queue, false).await?;
    let reply = driver.claim(5).await?;
    assert_eq!((reply.claimed.len(), reply.paused), (1, false));
    Ok(())
}
