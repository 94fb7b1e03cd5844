//! Laws of the repair: what is sound stays as it is (Q-L30).

use std::time::Duration;

use super::{
    Harness,
    driver::{Driver, failed, failed_for_good, user},
};
use crate::{BrakeScope, Due, Error, RepairPage};

/// Q-L30: with a task in each place, and more ready ones than one script takes.
pub async fn l30_a_repair_leaves_a_sound_queue_as_it_is(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    assert_eq!(repair(&driver).await?.repaired, 0, "a queue that nobody used");
    let someone = user("l30");
    let mut tasks = driver.tasks(4);
    tasks.push(driver.task_of(&someone));
    let mut delayed = driver.task();
    delayed.options.due = Due::After(Duration::from_secs(3_600));
    tasks.push(delayed);
    driver.enqueue(&tasks).await?;
    driver.brake(BrakeScope::User(someone), true, 1).await?;
    let claimed = driver.claim(10).await?.claimed;
    driver.settle(claimed[0].id, claimed[0].fence, failed("again")).await?;
    driver.settle(claimed[1].id, claimed[1].fence, failed_for_good("never")).await?;
    let ready = driver.tasks(200);
    driver.enqueue(&ready).await?;
    driver.store().cancel(&driver.queue, ready[7].id, "not needed").await?;

    let (audit, order) = (driver.audit().await?, driver.store().peek(&driver.queue, 256).await?);
    let places = (audit.ready, audit.active, audit.delayed, audit.parked, audit.dead);
    assert_eq!(places, (199, 2, 2, 1, 1), "{audit:?}");
    assert_eq!(repair(&driver).await?.repaired, 0);
    assert_eq!(driver.audit().await?, audit);
    assert_eq!(driver.store().peek(&driver.queue, 256).await?, order);
    Ok(())
}

/// All calls of a repair, added up.
async fn repair<H: Harness>(driver: &Driver<'_, H>) -> Result<RepairPage, Error> {
    let mut sum = driver.store().repair(&driver.queue, None).await?;
    while sum.next.is_some() {
        let page = driver.store().repair(&driver.queue, sum.next).await?;
        sum.looked_at += page.looked_at;
        sum.repaired += page.repaired;
        sum.next = page.next;
    }
    Ok(sum)
}
