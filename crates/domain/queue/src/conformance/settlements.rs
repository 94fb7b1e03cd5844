//! Laws of the settlement: fences, repetition, give-back and retry (Q-L4, Q-L6, Q-L8).

use std::{num::NonZeroU32, time::Duration};

use super::{
    Harness,
    driver::{Driver, cancelled, completed, failed, failed_for_good, ids, ids_of, settlement},
};
use crate::{Error, Fence, Outcome, QueueStats, Renewed, RetryPolicy, Settled, TaskState, limits::MAX_REASON_BYTES};

/// Q-L4: neither a made-up fence nor one from before.
pub async fn l4_a_settlement_with_a_stale_fence_changes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let task = driver.task();
    let first = driver.claimed(task.clone()).await?;
    let made_up = Fence(first.fence.0 + 1);
    assert_eq!(driver.settle(task.id, made_up, completed()).await?, Settled::LeaseLost);
    driver.advance_with_steps(driver.lease()).await?;
    let second = driver.claim(1).await?.claimed.remove(0);
    assert!(second.fence > first.fence);

    for outcome in [completed(), failed("late"), failed_for_good("late"), Outcome::Released, cancelled("late")] {
        assert_eq!(driver.settle(task.id, first.fence, outcome).await?, Settled::LeaseLost);
        assert_eq!(driver.state(task.id).await?, Some(TaskState::Active));
    }
    let settled = driver.settle(task.id, second.fence, completed()).await?;
    assert_eq!(settled, Settled::Applied(TaskState::Completed));
    assert_eq!(driver.settle(task.id, first.fence, failed("late")).await?, Settled::LeaseLost);
    Ok(())
}

/// Q-L4: the answer was lost, so the worker asks again, alone or with others in one call.
pub async fn l4_a_repeated_settlement_is_answered_as_the_first_time(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let cases = [
        (completed(), TaskState::Completed),
        (failed("again"), TaskState::Failed),
        (failed_for_good("never"), TaskState::Dead),
        (cancelled("enough"), TaskState::Cancelled),
        (Outcome::Released, TaskState::Queued),
    ];
    driver.enqueue(&driver.tasks(cases.len())).await?;
    let claimed = driver.claim(cases.len()).await?.claimed;
    let settle: Vec<_> =
        claimed.iter().zip(&cases).map(|(task, (outcome, _))| settlement(task, outcome.clone())).collect();
    let expected: Vec<_> = cases.iter().map(|(_, state)| Settled::Applied(*state)).collect();

    let twice_in_one_call = settle.iter().chain(&settle).cloned().collect();
    assert_eq!(driver.settle_all(twice_in_one_call).await?, [expected.clone(), expected.clone()].concat());
    let counts = async || Ok::<_, Error>(QueueStats { oldest_age: None, ..driver.stats().await? });
    let before = counts().await?;
    assert_eq!(driver.settle_all(settle.clone()).await?, expected);
    assert_eq!(counts().await?, before, "the repetition changed nothing");

    // Another worker holds the released task now, and the repetition is still harmless.
    let released = claimed[4].id;
    assert_eq!(driver.claim_ids(1).await?, [released]);
    assert_eq!(driver.settle_all(vec![settle[4].clone()]).await?, [Settled::Applied(TaskState::Queued)]);
    assert_eq!(driver.state(released).await?, Some(TaskState::Active));
    Ok(())
}

/// Q-L4: and a renewal reaches as far as it says.
pub async fn l4_a_lease_is_renewed_by_its_holder_only(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    let mut stranger = claimed.clone();
    stranger.fence = Fence(claimed.fence.0 + 7);
    assert_eq!(driver.renew(&stranger).await?, Renewed::LeaseLost);

    for _ in 0..5 {
        driver.advance_with_steps(driver.lease() / 2).await?;
        let before = driver.claim(1).await?;
        assert_eq!(ids(&before.claimed), [], "the lease holds");
        let Renewed::Extended { expires_at, order: None } = driver.renew(&claimed).await? else {
            unreachable!("the holder renews its lease, and nobody ordered anything");
        };
        assert!(expires_at >= before.now.plus(driver.lease()));
    }
    driver.settle(claimed.id, claimed.fence, completed()).await?;
    assert_eq!(driver.renew(&claimed).await?, Renewed::LeaseLost, "a settled task has no lease");
    Ok(())
}

/// Q-L6: in the order in which they were claimed, before what waits.
pub async fn l6_released_tasks_return_to_the_head_and_are_not_counted(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(5);
    driver.enqueue(&tasks).await?;
    let claimed = driver.claim(3).await?.claimed;
    let settle = claimed.iter().map(|task| settlement(task, Outcome::Released)).collect();
    assert_eq!(driver.settle_all(settle).await?, [Settled::Applied(TaskState::Queued); 3]);
    let again = driver.claim(5).await?.claimed;
    assert_eq!(ids(&again), ids_of(&tasks));
    assert!(again.iter().all(|task| (task.attempt, task.crashes) == (1, 0)));
    Ok(())
}

/// Q-L8: by its policy, or by what the failure itself asks for.
pub async fn l8_a_failed_attempt_waits_as_its_policy_says(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut task = driver.task();
    task.options.max_attempts = NonZeroU32::MIN.saturating_add(4);
    task.options.retry = RetryPolicy::List { delays_ms: vec![1_000, 5_000] };
    let mut claimed = driver.claimed(task.clone()).await?;
    let waits = [(None, 1_000), (None, 5_000), (None, 5_000), (Some(Duration::from_secs(9)), 9_000)];
    for (attempt, (retry_after, expected_ms)) in (1..).zip(waits) {
        assert_eq!(claimed.attempt, attempt);
        let outcome = Outcome::Failed { error: format!("failure {attempt}"), retryable: true, retry_after };
        let before = driver.claim(0).await?.now;
        assert_eq!(driver.settle(task.id, claimed.fence, outcome).await?, Settled::Applied(TaskState::Failed));
        let after = driver.claim(0).await?.now;

        let status = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("it waits"));
        assert_eq!((status.state, status.attempts), (TaskState::Failed, attempt));
        assert_eq!(status.error, Some(format!("failure {attempt}")));
        let due = status.due_at.unwrap_or(before);
        let wait = Duration::from_millis(expected_ms);
        assert!((before.plus(wait)..=after.plus(wait)).contains(&due), "{due} is {wait:?} after {before}");
        driver.advance(wait).await;
        claimed = driver.claim(1).await?.claimed.remove(0);
    }

    // Exponential with full jitter: anywhere up to the bound.
    let mut task = driver.task();
    task.options.retry = RetryPolicy::Exponential { base_ms: 2_000, max_ms: 3_000 };
    let claimed = driver.claimed(task.clone()).await?;
    driver.settle(task.id, claimed.fence, failed("jitter")).await?;
    let after = driver.claim(0).await?.now;
    let status = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("it waits"));
    assert!(status.due_at.is_none_or(|due| due <= after.plus(Duration::from_secs(2))));
    Ok(())
}

/// Q-L8: with the reason and the payload, and not handed out again.
pub async fn l8_the_last_failure_makes_a_dead_letter(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut task = driver.task();
    task.options.max_attempts = NonZeroU32::MIN.saturating_add(1);
    task.options.retry = RetryPolicy::Fixed { delay_ms: 0 };
    let first = driver.claimed(task.clone()).await?;
    assert_eq!(driver.settle(task.id, first.fence, failed("one")).await?, Settled::Applied(TaskState::Failed));
    let second = driver.claim(1).await?.claimed.remove(0);
    assert_eq!(second.attempt, 2);
    let long = "ö".repeat(MAX_REASON_BYTES);
    assert_eq!(driver.settle(task.id, second.fence, failed(&long)).await?, Settled::Applied(TaskState::Dead));

    driver.advance(Duration::from_secs(3_600)).await;
    assert_eq!(driver.claim_ids(1).await?, []);
    let letters = driver.store().dead_letters(&driver.queue, None, 10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].status.state, letters[0].status.attempts), (TaskState::Dead, 2));
    assert_eq!(letters[0].payload, task.payload);
    assert_eq!(letters[0].status.error.as_ref().map(String::len), Some(MAX_REASON_BYTES), "the first 2 KiB are kept");
    assert_eq!(driver.status(task.id).await?, Some(letters[0].status.clone()));
    Ok(())
}

/// Q-L8: whatever attempts are left.
pub async fn l8_a_failure_that_must_not_be_retried_makes_a_dead_letter(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let claimed = driver.claimed(driver.task()).await?;
    let settled = driver.settle(claimed.id, claimed.fence, failed_for_good("no such tool")).await?;
    assert_eq!(settled, Settled::Applied(TaskState::Dead));
    let status = driver.status(claimed.id).await?.unwrap_or_else(|| unreachable!("it is dead"));
    assert_eq!((status.attempts, status.error.as_deref()), (1, Some("no such tool")));
    assert_eq!(status.worker_id.as_deref(), Some(driver.worker.as_str()));
    assert!(status.started_at.is_some() && status.finished_at.is_some());
    Ok(())
}
