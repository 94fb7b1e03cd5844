//! Laws of the brake (Q-L11).

use std::collections::BTreeMap;

use super::{
    Harness,
    driver::{Driver, completed, ids, ids_of, user},
};
use crate::{BrakeScope, Error, MAX_BATCH, Order, Outcome, Priority, Renewed, Settled, TaskState};

/// Q-L11: parked when they would be claimed, and back in the order in which they were made.
pub async fn l11_tasks_of_a_braked_user_are_parked_and_return_in_order(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (alice, bob) = (user("alice"), user("alice|{bob}\"\\"));
    let mut tasks: Vec<_> = [&alice, &bob, &alice, &bob, &alice].into_iter().map(|user| driver.task_of(user)).collect();
    tasks[4].options.priority = Priority::High;
    driver.enqueue(&tasks).await?;
    let scope = BrakeScope::User(alice.clone());
    driver.brake(scope.clone(), true, 7).await?;

    let reply = driver.claim(10).await?;
    assert_eq!(ids(&reply.claimed), [tasks[1].id, tasks[3].id]);
    assert!(!reply.more_ready);
    assert_eq!(driver.state(tasks[0].id).await?, Some(TaskState::Parked));
    assert_eq!(driver.stats().await?.parked, 3);
    assert_eq!(driver.store().unpark(&driver.queue, &scope, 10).await?, 0, "not while the brake is on");

    let newer = driver.task_of(&alice);
    driver.enqueue_one(&newer).await?;
    driver.brake(scope.clone(), false, 8).await?;
    assert_eq!(driver.store().unpark(&driver.queue, &scope, 10).await?, 3);
    assert_eq!(driver.store().unpark(&driver.queue, &scope, 10).await?, 0);
    assert_eq!(driver.claim_ids(10).await?, [tasks[4].id, tasks[0].id, tasks[2].id, newer.id]);
    Ok(())
}

/// Q-L11: what runs is told at its next renewal; given back, it is parked.
pub async fn l11_leases_of_a_braked_user_carry_the_order_to_pause(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let alice = user("alice");
    let held = driver.claimed(driver.task_of(&alice)).await?;
    let free = driver.claimed(driver.task_of(&user("bob"))).await?;
    let order = |renewed| if let Renewed::Extended { order, .. } = renewed { order } else { None };
    assert_eq!(order(driver.renew(&held).await?), None);

    driver.brake(BrakeScope::User(alice.clone()), true, 1).await?;
    assert_eq!(order(driver.renew(&held).await?), Some(Order::Pause));
    assert_eq!(order(driver.renew(&free).await?), None);
    let settled = driver.settle(held.id, held.fence, Outcome::Released).await?;
    assert_eq!(settled, Settled::Applied(TaskState::Queued));
    assert_eq!(driver.claim_ids(10).await?, []);
    assert_eq!(driver.state(held.id).await?, Some(TaskState::Parked));
    assert_eq!(driver.settle(free.id, free.fence, completed()).await?, Settled::Applied(TaskState::Completed));
    Ok(())
}

/// Q-L11: also tasks on behalf of nobody.
pub async fn l11_the_brake_for_everyone_parks_everything(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let running = driver.claimed(driver.task()).await?;
    let tasks = [driver.task(), driver.task_of(&user("alice")), driver.task()];
    driver.enqueue(&tasks).await?;
    driver.brake(BrakeScope::Everyone, true, 1).await?;
    assert_eq!(driver.claim_ids(10).await?, []);
    let renewed = driver.renew(&running).await?;
    assert!(matches!(renewed, Renewed::Extended { order: Some(Order::Pause), .. }), "{renewed:?}");
    assert_eq!(driver.store().unpark(&driver.queue, &BrakeScope::User(user("alice")), 10).await?, 0);

    driver.brake(BrakeScope::Everyone, false, 2).await?;
    assert_eq!(driver.store().unpark(&driver.queue, &BrakeScope::Everyone, 10).await?, 3);
    assert_eq!(driver.claim_ids(10).await?, ids_of(&tasks));
    Ok(())
}

/// Q-L11: news that overtook each other.
pub async fn l11_an_older_revision_changes_nothing(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let alice = user("alice");
    let scope = BrakeScope::User(alice.clone());
    let task = driver.task_of(&alice);
    driver.enqueue_one(&task).await?;
    driver.brake(scope.clone(), false, 5).await?;
    driver.brake(scope.clone(), true, 4).await?;
    driver.brake(scope.clone(), true, 5).await?;
    assert_eq!(driver.claim_ids(10).await?, [task.id], "the release is newer");

    let next = driver.task_of(&alice);
    driver.enqueue_one(&next).await?;
    driver.brake(scope.clone(), true, 6).await?;
    driver.brake(scope.clone(), false, 5).await?;
    assert_eq!(driver.claim_ids(10).await?, [], "the engagement is newer");
    assert_eq!(driver.state(next.id).await?, Some(TaskState::Parked));
    Ok(())
}

/// Q-L11: a user whose own brake is on stays where it is when everyone else goes on.
pub async fn l11_everyone_is_unparked_except_who_is_braked(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let users = [user("ann"), user("ben"), user("cy")];
    let tasks: Vec<_> = users.iter().map(|user| driver.task_of(user)).collect();
    driver.enqueue(&tasks).await?;
    driver.brake(BrakeScope::Everyone, true, 1).await?;
    driver.brake(BrakeScope::User(users[1].clone()), true, 1).await?;
    driver.claim(10).await?;
    driver.brake(BrakeScope::Everyone, false, 2).await?;
    assert_eq!(driver.store().unpark(&driver.queue, &BrakeScope::Everyone, 10).await?, 2);
    assert_eq!(driver.claim_ids(10).await?, [tasks[0].id, tasks[2].id]);

    driver.brake(BrakeScope::User(users[1].clone()), false, 2).await?;
    assert_eq!(driver.store().unpark(&driver.queue, &BrakeScope::User(users[1].clone()), 10).await?, 1);
    assert_eq!(driver.claim_ids(10).await?, [tasks[1].id]);
    Ok(())
}

/// Q-L11: more than one call may return, with a cancelled one and a foreign user between them.
pub async fn l11_parked_tasks_return_in_order_over_many_calls(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let alice = user("alice");
    let tasks: Vec<_> = (0..MAX_BATCH).map(|_| driver.task_of(&alice)).collect();
    driver.enqueue(&tasks).await?;
    let scope = BrakeScope::User(alice);
    driver.brake(scope.clone(), true, 1).await?;
    driver.claim(1).await?;
    assert_eq!(driver.stats().await?.parked, MAX_BATCH as u64, "parked although one credit was given");
    driver.store().cancel(&driver.queue, tasks[9].id, "not needed").await?;
    driver.brake(scope.clone(), false, 2).await?;
    let mut returned = Vec::new();
    while returned.last() != Some(&0) {
        returned.push(driver.store().unpark(&driver.queue, &scope, 100).await?);
        assert!(returned.len() < 10);
    }
    assert_eq!(returned, [100, 100, 55, 0]);
    let mut expected = ids_of(&tasks);
    expected.remove(9);
    assert_eq!(driver.claim_ids(MAX_BATCH).await?, expected);
    Ok(())
}

/// Q-L11: the brakes that are on can be told, however many there are.
pub async fn l11_brakes_that_are_on_are_listed(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let walk = async || -> Result<BTreeMap<String, u64>, Error> {
        let (mut on, mut cursor) = (BTreeMap::new(), 0);
        loop {
            let page = driver.store().braked(&driver.queue, cursor).await?;
            assert!(page.brakes.iter().all(|brake| brake.engaged));
            on.extend(page.brakes.into_iter().map(|brake| (format!("{:?}", brake.scope), brake.revision)));
            cursor = page.next;
            if cursor == 0 {
                return Ok(on);
            }
        }
    };
    assert_eq!(walk().await?.len(), 0);
    let count = 3 * MAX_BATCH as u64;
    let scope = |at: u64| BrakeScope::User(user(&format!("user-{at}")));
    for at in 1..=count {
        // Revisions beyond what a floating-point number holds exactly, some of them shared by two scopes.
        driver.brake(scope(at), true, u64::MAX - count + at / 2).await?;
    }
    driver.brake(BrakeScope::Everyone, true, 1).await?;
    for at in (3..=count).step_by(3) {
        driver.brake(scope(at), false, u64::MAX).await?;
    }
    let on = walk().await?;
    let mut expected: BTreeMap<String, u64> = (1..=count)
        .filter(|at| at % 3 != 0)
        .map(|at| (format!("{:?}", scope(at)), u64::MAX - count + at / 2))
        .collect();
    expected.insert(format!("{:?}", BrakeScope::Everyone), 1);
    assert_eq!(on, expected);
    Ok(())
}

/// Q-L11: how many tasks of one user are parked, and of all.
pub async fn l11_parked_tasks_are_counted_by_user(harness: &impl Harness) -> Result<(), Error> {
    let driver = Driver::new(harness);
    let (ann, anna) = (user("ann"), user("anna"));
    let tasks = [driver.task_of(&ann), driver.task_of(&anna), driver.task_of(&ann), driver.task()];
    driver.enqueue(&tasks).await?;
    driver.brake(BrakeScope::Everyone, true, 1).await?;
    driver.claim(10).await?;
    let (ann, anna) = (BrakeScope::User(ann), BrakeScope::User(anna));
    let scopes = [&ann, &anna, &BrakeScope::Everyone, &BrakeScope::User(user("nobody"))];
    for (scope, parked) in scopes.into_iter().zip([2, 1, 4, 0]) {
        assert_eq!(driver.store().parked(&driver.queue, scope).await?, parked, "{scope:?}");
    }
    driver.store().cancel(&driver.queue, tasks[0].id, "not needed").await?;
    assert_eq!(driver.store().parked(&driver.queue, &ann).await?, 1);
    Ok(())
}
