//! Laws of what is handed out first where the order of the queue is not enough: turns and age (Q-L27, Q-L28).

use std::{collections::HashSet, time::Duration};

use trackside_core::TaskId;

use super::{
    Harness,
    driver::{Driver, completed, ids, ids_of, settlement, user},
    limits::many,
};
use crate::{BrakeScope, Due, Error, NewTask, Outcome, Priority, QueuePolicy, TaskState};

fn fair(quantum: u32) -> QueuePolicy {
    QueuePolicy { fair: many(quantum), ..QueuePolicy::default() }
}

impl<H: Harness> Driver<'_, H> {
    async fn peek_ids(&self) -> Result<Vec<TaskId>, Error> {
        Ok(self.store().peek(&self.queue, 256).await?.iter().filter_map(|task| task.id).collect())
    }

    /// Claims tasks and completes them.
    async fn complete(&self, credits: usize) -> Result<Vec<TaskId>, Error> {
        let claimed = self.claim(credits).await?.claimed;
        self.settle_all(claimed.iter().map(|task| settlement(task, completed())).collect()).await?;
        Ok(ids(&claimed))
    }
}

/// Q-L27: whatever the size of the claims, and as peeked.
pub async fn l27_tenants_take_turns(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.limit(fair(2)).await?;
    let (flood, few, nobody) = (driver.tasks_for("flood", 7), driver.tasks_for("few", 3), driver.tasks(2));
    for tasks in [&flood, &few, &nobody] {
        driver.enqueue(tasks).await?;
    }
    let order = [&flood[..2], &few[..2], &nobody[..], &flood[2..4], &few[2..], &flood[4..]];
    let order: Vec<TaskId> = order.iter().flat_map(|part| ids_of(part)).collect();
    assert_eq!(driver.peek_ids().await?, order);
    assert_eq!(driver.stats().await?.ready, [0, 0, 12, 0]);
    let mut claimed = Vec::new();
    for credits in [1, 2, 4, 1, 10] {
        claimed.extend(driver.claim_ids(credits).await?);
        assert_eq!(driver.peek_ids().await?, order[claimed.len()..]);
    }
    assert_eq!(claimed, order);
    assert!(!driver.claim(10).await?.more_ready);
    Ok(())
}

/// Q-L27, Q-L5: turns are taken inside a level only.
pub async fn l27_levels_stay_strict_where_tenants_take_turns(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.limit(fair(1)).await?;
    let (mut high, normal) = (driver.tasks_for("a", 3), driver.tasks_for("b", 2));
    for task in &mut high {
        task.options.priority = Priority::High;
    }
    driver.enqueue(&normal).await?;
    driver.enqueue(&high).await?;
    let order: Vec<TaskId> = [ids_of(&high), ids_of(&normal)].concat();
    assert_eq!(driver.claim_ids(10).await?, order);
    Ok(())
}

/// Q-L27: also while there are tasks, and nothing is lost.
pub async fn l27_turns_may_be_switched_on_and_off(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let mut all = Vec::new();
    for policy in [QueuePolicy::default(), fair(1), QueuePolicy::default(), fair(3)] {
        driver.limit(policy).await?;
        for tenant in ["a", "b"] {
            let tasks = driver.tasks_for(tenant, 5);
            driver.enqueue(&tasks).await?;
            all.extend(ids_of(&tasks));
        }
        assert_eq!(driver.stats().await?.ready[2], u64::try_from(all.len()).unwrap_or(0));
        assert_eq!(driver.peek_ids().await?.len(), all.len());
        all.retain({
            let taken: HashSet<TaskId> = driver.claim_ids(3).await?.into_iter().collect();
            assert_eq!(taken.len(), 3);
            move |id| !taken.contains(id)
        });
    }
    driver.limit(QueuePolicy::default()).await?;
    let mut claimed = HashSet::new();
    while claimed.len() < all.len() {
        let ids = driver.claim_ids(7).await?;
        assert!(!ids.is_empty(), "{} of {}", claimed.len(), all.len());
        claimed.extend(ids);
    }
    assert_eq!(claimed, all.into_iter().collect());
    let task = driver.task();
    driver.enqueue_one(&task).await?;
    assert_eq!(driver.claim_ids(7).await?, [task.id]);
    Ok(())
}

/// Q-L27: a step is bounded, however many tenants there are.
pub async fn l27_more_tenants_than_a_step_looks_at_have_their_turns(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    driver.limit(QueuePolicy { tenant_max_active: many(1), ..QueuePolicy::default() }).await?;
    let tasks: Vec<NewTask> = (0..200).flat_map(|tenant| driver.tasks_for(&format!("t{}", tenant % 100), 1)).collect();
    driver.enqueue(&tasks).await?;
    let (mut claimed, mut steps) = (Vec::new(), 0);
    loop {
        let reply = driver.claim(256).await?;
        claimed.extend(reply.claimed);
        steps += 1;
        assert!(steps < 10, "a queue whose tenants are all at their limits says so");
        if !reply.more_ready {
            break;
        }
    }
    assert_eq!(claimed.iter().filter_map(|task| task.tenant_id.clone()).collect::<HashSet<_>>().len(), 100);
    assert_eq!((claimed.len(), driver.stats().await?.ready[2]), (100, 100));
    Ok(())
}

/// Q-L27: whatever else happens to tasks that are shared out.
pub async fn l27_tasks_in_turns_are_cancelled_parked_and_returned(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (policy, mary) = (fair(1), user("mary"));
    driver.limit(policy).await?;
    let (mut a, b) = (driver.tasks_for("a", 4), driver.tasks_for("b", 2));
    a[1].options.user_id = Some(mary.clone());
    driver.enqueue(&a).await?;
    driver.enqueue(&b).await?;
    driver.store().cancel(&driver.queue, a[2].id, "not needed").await?;
    driver.brake(BrakeScope::User(mary.clone()), true, 1).await?;
    let first = driver.claim(1).await?.claimed;
    assert_eq!(first[0].id, a[0].id);
    driver.settle(a[0].id, first[0].fence, Outcome::Released).await?;
    assert_eq!(driver.state(a[0].id).await?, Some(TaskState::Queued));
    assert_eq!(driver.claim_ids(2).await?, [b[0].id, a[0].id], "it is the turn of the other, then it comes first");
    assert_eq!(driver.claim_ids(10).await?, [b[1].id, a[3].id], "the braked one gave way to the next");
    assert_eq!(driver.stats().await?.parked, 1);
    driver.brake(BrakeScope::User(mary.clone()), false, 2).await?;
    assert_eq!(driver.store().unpark(&driver.queue, &BrakeScope::User(mary), 10).await?, 1);
    assert_eq!(driver.claim_ids(10).await?, [a[1].id]);
    assert_eq!(driver.stats().await?.ready, [0; 4]);
    Ok(())
}

/// Q-L28: the one that has waited longest first, and only when it has waited for too long.
pub async fn l28_a_task_that_waited_for_long_goes_before_higher_levels(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let age_after = Some(Duration::from_secs(10_000));
    for policy in [QueuePolicy { age_after, ..QueuePolicy::default() }, QueuePolicy { age_after, ..fair(1) }] {
        driver.limit(policy).await?;
        let low = driver.task_at(Priority::Low);
        let mut late = driver.task_at(Priority::Low);
        late.options.due = Due::After(Duration::from_secs(6_000));
        driver.enqueue(&[low.clone(), late.clone()]).await?;
        driver.advance(Duration::from_secs(6_000)).await;
        driver.claim(0).await?;
        let normal = driver.task();
        driver.enqueue_one(&normal).await?;
        driver.advance(Duration::from_secs(5_000)).await;
        let high: Vec<NewTask> = (0..3).map(|_| driver.task_at(Priority::High)).collect();
        driver.enqueue(&high).await?;
        let set = |ids: &[TaskId]| ids.iter().copied().collect::<HashSet<_>>();
        let claimed = driver.complete(2).await?;
        assert_eq!(set(&claimed), set(&[low.id, high[0].id]), "the delayed one is not old yet");
        driver.advance(Duration::from_secs(6_000)).await;
        assert_eq!(set(&driver.complete(2).await?), set(&[late.id, normal.id]), "now they are");
        assert_eq!(driver.complete(4).await?, ids_of(&high[1..]));
    }
    Ok(())
}

/// Q-L28: a task that waited for others has waited for a worker only since they ended.
pub async fn l28_the_age_of_a_dependent_counts_from_when_it_is_free(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let age_after = Some(Duration::from_secs(10_000));
    for policy in [QueuePolicy { age_after, ..QueuePolicy::default() }, QueuePolicy { age_after, ..fair(1) }] {
        driver.limit(policy).await?;
        let first = driver.task_at(Priority::High);
        let mut dependent = driver.task_at(Priority::Low);
        dependent.options.depends_on = vec![first.id.into()];
        driver.enqueue(&[first.clone(), dependent.clone()]).await?;
        driver.advance(Duration::from_secs(20_000)).await;
        assert_eq!(driver.complete(1).await?, [first.id]);
        let high = driver.task_at(Priority::High);
        driver.enqueue_one(&high).await?;
        assert_eq!(driver.complete(1).await?, [high.id], "the dependent is free only now");
        driver.advance(Duration::from_secs(11_000)).await;
        let later = driver.task_at(Priority::High);
        driver.enqueue_one(&later).await?;
        assert_eq!(driver.complete(1).await?, [dependent.id]);
        assert_eq!(driver.complete(1).await?, [later.id]);
    }
    Ok(())
}
