//! Laws of the limits: how many tasks are under lease, and how often one is handed out (Q-L25, Q-L26).

use std::{num::NonZeroU32, time::Duration};

use super::{
    Harness,
    driver::{Driver, completed, ids, ids_of},
};
use crate::{Error, NewTask, QueuePolicy, Rate};

/// Long enough for a machine that is busy with other things; no law waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn many(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn rate(count: u32, per: Duration) -> Option<Rate> {
    many(count).map(|count| Rate::new(count, per))
}

impl<H: Harness> Driver<'_, H> {
    pub(super) async fn limit(&self, policy: QueuePolicy) -> Result<(), Error> {
        self.store().set_policy(&self.queue, &policy).await
    }

    pub(super) fn tasks_for(&self, tenant: &str, count: usize) -> Vec<NewTask> {
        let mut tasks = self.tasks(count);
        for task in &mut tasks {
            task.options.tenant_id = Some(tenant.into());
        }
        tasks
    }
}

/// Q-L25: by whomever they are held, and leases that end make room.
pub async fn l25_no_more_tasks_than_allowed_are_under_lease(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(8);
    driver.enqueue(&tasks).await?;
    driver.limit(QueuePolicy { max_active: many(3), ..QueuePolicy::default() }).await?;
    let first = driver.claim(10).await?;
    assert_eq!((ids(&first.claimed), first.more_ready), (ids_of(&tasks[..3]), false), "asking again brings nothing");
    let none = driver.claim(10).await?;
    assert_eq!((ids(&none.claimed), none.more_ready), (vec![], false));
    assert!(none.next_due.is_some_and(|due| !due.is_zero()), "it says when to ask again");

    driver.settle(tasks[0].id, first.claimed[0].fence, completed()).await?;
    let next = driver.claim(10).await?;
    assert_eq!(ids(&next.claimed), [tasks[3].id]);
    assert_eq!(driver.stats().await?.active, 3);
    driver.advance_with_steps(driver.lease()).await?;
    assert_eq!(driver.claim_ids(10).await?.len(), 3, "leases that ended have made room");

    driver.limit(QueuePolicy::default()).await?;
    assert_eq!(driver.claim_ids(10).await?.len(), 4, "without the limit all that is left");
    Ok(())
}

/// Q-L25: tenants do not stand in each other's way, and tasks without a tenant are not limited.
pub async fn l25_no_more_tasks_of_a_tenant_than_allowed_are_under_lease(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (noisy, quiet, nobody) = (driver.tasks_for("noisy", 6), driver.tasks_for("quiet", 2), driver.tasks(3));
    for tasks in [&noisy, &quiet, &nobody] {
        driver.enqueue(tasks).await?;
    }
    // Tasks that run when the limit is set count.
    let running = driver.claim(1).await?.claimed;
    assert_eq!(ids(&running), [noisy[0].id]);
    driver.limit(QueuePolicy { tenant_max_active: many(2), ..QueuePolicy::default() }).await?;
    let reply = driver.claim(20).await?;
    assert_eq!(reply.claimed.len(), 1 + 2 + 3, "one more of the noisy one, and all of the others");
    assert!(!reply.more_ready);
    assert_eq!(reply.claimed.iter().filter(|task| task.tenant_id.as_deref() == Some("noisy")).count(), 1);
    let waiting = driver.claim(20).await?;
    assert_eq!((ids(&waiting.claimed), waiting.more_ready), (vec![], false));
    assert_eq!(driver.stats().await?.ready.iter().sum::<u64>(), 4);

    driver.settle(running[0].id, running[0].fence, completed()).await?;
    assert_eq!(driver.claim_ids(20).await?, [noisy[2].id]);
    driver.advance_with_steps(driver.lease()).await?;
    assert_eq!(driver.claim(20).await?.claimed.len(), 2 + 2 + 3, "again two of each, and all without a tenant");
    Ok(())
}

/// Q-L25, Q-L15: a task that ends elsewhere is heard of.
pub async fn l25_a_place_that_becomes_free_wakes_who_waits(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(2);
    driver.limit(QueuePolicy { max_active: many(1), ..QueuePolicy::default() }).await?;
    driver.enqueue(&tasks).await?;
    let running = driver.claim(1).await?.claimed;
    let started = tokio::time::Instant::now();
    let wait = async {
        loop {
            let claimed = driver.claim_ids(1).await?;
            if !claimed.is_empty() {
                return Ok::<_, Error>(claimed);
            }
            driver.store().wait_for_work(&driver.queue, PATIENCE).await?;
        }
    };
    let end = async {
        tokio::task::yield_now().await;
        driver.settle(tasks[0].id, running[0].fence, completed()).await
    };
    let (claimed, _settled) = tokio::try_join!(wait, end)?;
    assert_eq!(claimed, [tasks[1].id]);
    assert!(started.elapsed() < PATIENCE, "woken, not timed out");
    Ok(())
}

/// Q-L26: after a quiet time the burst, then one by one; nothing is lost or turned round by waiting.
pub async fn l26_tasks_are_handed_out_no_more_often_than_allowed(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let tasks = driver.tasks(6);
    driver.enqueue(&tasks).await?;
    let slow = rate(2, Duration::from_secs(2_000));
    driver.limit(QueuePolicy { rate: slow, ..QueuePolicy::default() }).await?;
    let burst = driver.claim(10).await?;
    assert_eq!((ids(&burst.claimed), burst.more_ready), (ids_of(&tasks[..2]), false));
    let settle = burst.claimed.iter().map(|task| super::driver::settlement(task, completed())).collect();
    driver.settle_all(settle).await?;
    let due = driver.claim(10).await?.next_due.unwrap_or_default();
    assert!(due > Duration::from_secs(900) && due <= Duration::from_secs(1_000), "{due:?} until the next one");
    driver.advance(due).await;
    let one = driver.claim(10).await?.claimed;
    assert_eq!(ids(&one), [tasks[2].id]);
    driver.settle(one[0].id, one[0].fence, completed()).await?;
    driver.advance(Duration::from_secs(9_000)).await;
    assert_eq!(driver.claim_ids(10).await?, ids_of(&tasks[3..5]), "no more than the burst adds up");

    let fast = rate(1, Duration::from_millis(1));
    driver.limit(QueuePolicy { rate: fast, ..QueuePolicy::default() }).await?;
    assert_eq!(driver.claim_ids(10).await?, [tasks[5].id], "a new rate starts afresh");
    Ok(())
}

/// Q-L26: each tenant for itself.
pub async fn l26_tasks_of_a_tenant_are_handed_out_no_more_often_than_allowed(
    harness: &impl Harness,
) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (a, b, nobody) = (driver.tasks_for("a", 3), driver.tasks_for("b ü%", 2), driver.tasks(2));
    let slow = rate(1, Duration::from_secs(1_000));
    driver.limit(QueuePolicy { tenant_rate: slow, ..QueuePolicy::default() }).await?;
    for tasks in [&a, &b, &nobody] {
        driver.enqueue(tasks).await?;
    }
    let first = driver.claim(10).await?;
    assert_eq!(ids(&first.claimed), [a[0].id, b[0].id, nobody[0].id, nobody[1].id]);
    assert!(!first.more_ready);
    let settle = first.claimed.iter().map(|task| super::driver::settlement(task, completed())).collect();
    driver.settle_all(settle).await?;
    let next = driver.claim(10).await?;
    let due = next.next_due.unwrap_or_default();
    assert!(next.claimed.is_empty() && due > Duration::from_secs(900) && due <= Duration::from_secs(1_000), "{due:?}");
    driver.advance(due).await;
    assert_eq!(driver.claim_ids(10).await?, [a[1].id, b[1].id]);
    driver.limit(QueuePolicy::default()).await?;
    assert_eq!(driver.claim_ids(10).await?, [a[2].id], "without the limit nobody is held back");
    Ok(())
}
