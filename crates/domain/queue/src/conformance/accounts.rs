//! Laws of the accounts: what is enqueued is there once, is in one place, and can be asked about (Q-L1, Q-L2, Q-L14).

use std::time::Duration;

use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, cancelled, completed, failed, failed_for_good, ids, ids_of, refs, settlement, user},
};
use crate::{
    BrakeScope, Due, Enqueued, Error, MAX_BATCH, NewTask, Outcome, QueueStats, Renewal, Settled, Step, TaskOptions,
    TaskState,
};

/// Q-L1: in one call, while it waits, while it runs, and when it has ended.
pub async fn l1_enqueueing_an_id_again_changes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let task = driver.task();
    let mut delayed = driver.task();
    delayed.options.due = Due::After(Duration::from_secs(60));

    let answers = driver.offer(&[task.clone(), delayed.clone(), task.clone()]).await?;
    let answer = |task: &NewTask, state, replayed| Enqueued { id: task.id, state, replayed };
    let added = (answer(&task, TaskState::Queued, false), answer(&delayed, TaskState::Delayed, false));
    assert_eq!(answers, [added.0, added.1, answer(&task, TaskState::Queued, true)]);
    let mut other = task.clone();
    other.kind = "another.kind".into();
    assert_eq!(driver.enqueue(&[other, delayed]).await?, [TaskState::Queued, TaskState::Delayed]);

    let claimed = driver.claim(10).await?.claimed;
    assert_eq!(ids(&claimed), [task.id]);
    assert_eq!(claimed[0].kind, task.kind, "the first one counts");
    assert_eq!(driver.enqueue_one(&task).await?, TaskState::Active);
    driver.settle(task.id, claimed[0].fence, completed()).await?;
    assert_eq!(driver.offer(std::slice::from_ref(&task)).await?, [answer(&task, TaskState::Completed, true)]);
    assert_eq!(driver.claim_ids(10).await?, []);
    assert_eq!(driver.stats().await?.created, 2);
    Ok(())
}

/// Q-L1: the memory of an id ends with its retention.
pub async fn l1_an_id_may_come_back_when_its_retention_is_over(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let task = driver.task();
    let claimed = driver.claimed(task.clone()).await?;
    driver.settle(task.id, claimed.fence, completed()).await?;

    driver.advance(harness.config().retention - Duration::from_secs(60)).await;
    assert_eq!(driver.state(task.id).await?, Some(TaskState::Completed));
    assert_eq!(driver.enqueue_one(&task).await?, TaskState::Completed);

    driver.advance(Duration::from_secs(120)).await;
    assert_eq!(driver.state(task.id).await?, None);
    assert_eq!(driver.enqueue_one(&task).await?, TaskState::Queued);
    assert_eq!(driver.claim_ids(1).await?, [task.id]);
    Ok(())
}

/// Q-L2: one task on every path, counted after each move.
pub async fn l2_every_task_is_in_exactly_one_place(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let someone = user("l2");
    let mut tasks = driver.tasks(6);
    tasks.push(driver.task_of(&someone));
    let mut delayed = driver.task();
    delayed.options.due = Due::After(Duration::from_secs(3_600));
    tasks.push(delayed);
    driver.enqueue(&tasks).await?;
    balanced(&driver.stats().await?, 8);

    driver.brake(BrakeScope::User(someone), true, 1).await?;
    let claimed = driver.claim(10).await?.claimed;
    balanced(&driver.stats().await?, 8);
    let outcomes = [completed(), failed("again"), failed_for_good("never"), Outcome::Released, cancelled("enough")];
    for (task, outcome) in claimed.iter().zip(outcomes) {
        driver.settle(task.id, task.fence, outcome).await?;
        balanced(&driver.stats().await?, 8);
    }
    let stats = driver.stats().await?;
    let places = (stats.ready[2], stats.active, stats.delayed, stats.parked, stats.dead);
    assert_eq!(places, (1, 1, 2, 1, 1), "released; untouched; delayed and failed; braked; dead");

    driver.store().cancel(&driver.queue, claimed[3].id, "not needed").await?;
    driver.store().purge_dead(&driver.queue, &[claimed[2].id.into()]).await?;
    let stats = driver.stats().await?;
    balanced(&stats, 8);
    assert_eq!((stats.completed, stats.cancelled, stats.purged), (1, 2, 1));
    Ok(())
}

/// Q-L2: as many tasks as one call may carry.
pub async fn l2_a_full_batch_goes_through_every_operation(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(MAX_BATCH);
    let states = driver.enqueue(&tasks).await?;
    assert_eq!(states, vec![TaskState::Queued; MAX_BATCH]);
    assert_eq!(driver.store().peek(&driver.queue, MAX_BATCH).await?.len(), MAX_BATCH);

    let claimed = driver.claim(MAX_BATCH).await?.claimed;
    assert_eq!(ids(&claimed), ids_of(&tasks));
    let renew = claimed.iter().map(|it| Renewal { id: it.id, fence: it.fence, lease: driver.lease() }).collect();
    let reply = driver.store().step(&driver.queue, Step { renew, ..driver.step() }).await?;
    assert_eq!(reply.renewed.len(), MAX_BATCH);

    let settle = claimed.iter().map(|it| settlement(it, failed_for_good("no"))).collect();
    assert_eq!(driver.settle_all(settle).await?, vec![Settled::Applied(TaskState::Dead); MAX_BATCH]);
    assert_eq!(driver.store().dead_letters(&driver.queue, None, MAX_BATCH).await?.len(), MAX_BATCH);
    assert_eq!(driver.store().requeue_dead(&driver.queue, &refs(&ids_of(&tasks))).await?, MAX_BATCH);

    let claimed = driver.claim(MAX_BATCH).await?.claimed;
    let settle = claimed.iter().map(|it| settlement(it, completed())).collect();
    assert_eq!(driver.settle_all(settle).await?, vec![Settled::Applied(TaskState::Completed); MAX_BATCH]);
    balanced(&driver.stats().await?, MAX_BATCH as u64);
    Ok(())
}

/// Q-L2: one more than that is refused as a whole.
pub async fn l2_a_batch_that_is_too_large_changes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let refused = driver.enqueue(&driver.tasks(MAX_BATCH + 1)).await;
    assert!(matches!(refused, Err(Error::BatchTooLarge { given: 257, limit: 256 })), "{refused:?}");
    let refused = driver.claim(MAX_BATCH + 1).await;
    assert!(matches!(refused, Err(Error::BatchTooLarge { .. })), "{refused:?}");
    assert_eq!(driver.stats().await?, QueueStats::default());
    Ok(())
}

/// Q-L14: from enqueue to the end, with its times and its worker.
pub async fn l14_a_task_has_a_status_all_its_life(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    assert_eq!(driver.status(TaskId::generate(&driver.queue)).await?, None, "nobody knows it");
    let mut task = driver.task_with(TaskOptions {
        timeout: Some(Duration::from_millis(1_500)),
        user_id: Some(user("l14")),
        project_id: Some("project \"7\" | ünï\u{1F600}".into()),
        tenant_id: Some("tenant/9".into()),
        ..TaskOptions::default()
    });
    task.options.due = Due::After(Duration::from_secs(60));
    driver.enqueue_one(&task).await?;

    let status = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("just enqueued"));
    assert_eq!((status.state, status.attempts), (TaskState::Delayed, 0));
    assert_eq!(status.due_at.map(|due| due.millis_since(status.enqueued_at)), Some(60_000));
    assert_eq!((status.id, &status.queue, &status.kind), (task.id, &driver.queue, &task.kind));
    assert_eq!(status.user_id, task.options.user_id);
    assert_eq!(status.project_id, task.options.project_id);
    assert_eq!(status.tenant_id, task.options.tenant_id);
    assert_eq!(status.correlation_id.as_str(), task.id.to_string(), "its own id unless the producer named another");
    assert_eq!((status.started_at, status.finished_at, status.worker_id), (None, None, None));

    driver.advance(Duration::from_secs(60)).await;
    let claimed = driver.claim(1).await?.claimed.remove(0);
    assert_eq!((claimed.attempt, claimed.crashes, claimed.timeout), (1, 0, task.options.timeout));
    assert_eq!((&claimed.payload, &claimed.project_id), (&task.payload, &task.options.project_id));
    let active = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("claimed"));
    assert_eq!((active.state, active.attempts, active.due_at), (TaskState::Active, 1, None));
    assert_eq!(active.worker_id.as_deref(), Some(driver.worker.as_str()));
    assert!(active.started_at >= status.due_at);

    driver.advance(Duration::from_secs(2)).await;
    driver.settle(task.id, claimed.fence, completed()).await?;
    let done = driver.status(task.id).await?.unwrap_or_else(|| unreachable!("completed"));
    assert_eq!((done.state, done.attempts, done.started_at), (TaskState::Completed, 1, active.started_at));
    assert_eq!(done.result.as_deref(), Some(br#"{"answer":42}"#.as_slice()));
    assert_eq!((done.enqueued_at, done.worker_id), (status.enqueued_at, active.worker_id));
    assert!(done.finished_at > done.started_at);
    Ok(())
}

/// Q-L14: looking at the next tasks leaves them where they are.
pub async fn l14_a_peek_takes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(3);
    driver.enqueue(&tasks).await?;
    for _ in 0..2 {
        let peeked = driver.store().peek(&driver.queue, 2).await?;
        assert_eq!(peeked.iter().map(|it| it.id).collect::<Vec<_>>(), [Some(tasks[0].id), Some(tasks[1].id)]);
        assert_eq!(peeked[0].payload, tasks[0].payload);
    }
    assert_eq!(driver.stats().await?.ready, [0, 0, 3, 0]);
    assert!(driver.stats().await?.oldest_age.is_some());
    Ok(())
}

/// A queue is listed from its registration on.
pub async fn registered_queues_are_listed(harness: &impl Harness) -> Result<(), Error> {
    let (first, second) = (harness.queue(), harness.queue());
    assert!(harness.store().register(&first).await?, "new");
    assert!(!harness.store().register(&first).await?, "known");
    assert!(harness.store().register(&second).await?);
    let listed = harness.store().queues().await?;
    assert!(listed.contains(&first) && listed.contains(&second) && listed.is_sorted());
    Ok(())
}

/// Q-L2: what was created is somewhere.
#[track_caller]
fn balanced(stats: &QueueStats, created: u64) {
    let waiting = stats.ready.iter().sum::<u64>() + stats.delayed + stats.waiting + stats.parked + stats.active;
    let ended = stats.dead + stats.completed + stats.cancelled + stats.purged;
    assert_eq!((stats.created, waiting + ended), (created, created), "{stats:?}");
}
