//! Laws of the audit: every task is accounted for, at every moment (Q-L29).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, cancelled, completed, failed, failed_for_good, settlement, user},
};
use crate::{BrakeScope, Due, Error, Outcome, QueueAudit};

/// Q-L29: after each move of a task on each path.
pub async fn l29_every_task_is_accounted_for_after_each_move(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    assert_eq!(driver.audit().await?, QueueAudit::default(), "a queue that nobody used");
    let someone = user("l29");
    let mut tasks = driver.tasks(7);
    tasks.push(driver.task_of(&someone));
    let mut delayed = driver.task();
    delayed.options.due = Due::After(Duration::from_secs(3_600));
    tasks.push(delayed);
    driver.enqueue(&tasks).await?;
    driver.enqueue(&tasks).await?;
    let audit = driver.audit().await?;
    assert_eq!((audit.created, audit.ready, audit.delayed), (9, 8, 1), "{audit:?}");

    driver.brake(BrakeScope::User(someone.clone()), true, 1).await?;
    let claimed = driver.claim(10).await?.claimed;
    driver.audit().await?;
    let outcomes = [completed(), failed("again"), failed_for_good("never"), Outcome::Released, cancelled("enough")];
    for (task, outcome) in claimed.iter().zip(outcomes) {
        driver.settle(task.id, task.fence, outcome).await?;
        driver.audit().await?;
    }
    driver.store().cancel(&driver.queue, claimed[3].id, "not needed").await?;
    let audit = driver.audit().await?;
    let places = (audit.ready, audit.active, audit.delayed, audit.parked, audit.dead);
    assert_eq!(places, (0, 2, 2, 1, 1), "cancelled; untouched; delayed and failed; braked; dead");
    assert_eq!((audit.completed, audit.cancelled, audit.purged, audit.unadopted), (1, 2, 0, 0));

    driver.advance_with_steps(driver.lease() + Duration::from_secs(1)).await?;
    let audit = driver.audit().await?;
    assert_eq!((audit.ready + audit.delayed, audit.active), (4, 0), "crashed; a retry may be due");
    driver.brake(BrakeScope::User(someone.clone()), false, 2).await?;
    driver.store().unpark(&driver.queue, &BrakeScope::User(someone), 10).await?;
    let audit = driver.audit().await?;
    assert_eq!((audit.ready + audit.delayed, audit.parked), (5, 0));
    driver.store().purge_dead(&driver.queue, &[claimed[2].id.into()]).await?;
    let audit = driver.audit().await?;
    assert_eq!((audit.dead, audit.purged), (0, 1));
    let left = driver.claim(10).await?.claimed;
    driver.settle_all(left.iter().map(|task| settlement(task, completed())).collect()).await?;
    let audit = driver.audit().await?;
    assert_eq!((audit.ready, audit.active, audit.completed), (0, 0, 1 + left.len() as u64));
    Ok(())
}
