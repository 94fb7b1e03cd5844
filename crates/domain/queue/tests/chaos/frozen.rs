//! Workers that stop for longer than their lease and then go on as if nothing had been.

use nix::sys::signal::Signal;
use trackside_queue::TaskState;

use crate::{
    journal::Event,
    process::Role,
    row::{Row, ended_by},
    verdict::Expected,
    worker::WAIT,
};

#[tokio::test]
async fn a_worker_frozen_for_longer_than_its_lease_is_refused_when_it_wakes() {
    let row = Row::new("frozen beyond its lease").await;
    let id = row.enqueue(WAIT).await;
    let (first, second) = (row.worker("first"), row.worker("second"));
    let frozen = Role::Work(first.clone()).spawn();
    row.written("first", Event::Begin).await;
    frozen.signal(Signal::SIGSTOP);
    let _second = Role::Work(second.clone()).spawn();
    row.written("second", Event::Begin).await;
    second.let_go();
    let status = row.ended(id).await;
    assert_eq!(ended_by(&status), (TaskState::Completed, Some("second")));
    first.let_go();
    frozen.signal(Signal::SIGCONT);
    row.written("first", Event::Lost).await;
    assert_eq!(row.ended(id).await, status, "nothing of the late worker is recorded");
    row.finish(Expected::default()).await;
}

#[tokio::test]
async fn a_worker_that_wakes_while_another_one_has_its_task_does_not_disturb_it() {
    let row = Row::new("frozen, woken too early").await;
    let id = row.enqueue(WAIT).await;
    let (first, second) = (row.worker("first"), row.worker("second"));
    let frozen = Role::Work(first.clone()).spawn();
    row.written("first", Event::Begin).await;
    frozen.signal(Signal::SIGSTOP);
    let _second = Role::Work(second.clone()).spawn();
    row.written("second", Event::Begin).await;
    first.let_go();
    frozen.signal(Signal::SIGCONT);
    row.written("first", Event::Lost).await;
    assert_eq!(row.stats().await.active, 1, "the late acknowledgement was refused");
    second.let_go();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("second")));
    row.finish(Expected::default()).await;
}
