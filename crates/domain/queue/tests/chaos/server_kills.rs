//! Servers that are killed and come back, forget their scripts, or are full.

use std::time::Duration;

use trackside_core::ErrorKind;
use trackside_queue::{NewTask, TaskState};
use trackside_testkit::{Fsync, eventually};

use crate::{
    journal::Event,
    process::{Process, Role},
    producer::Orders,
    row::{PATIENCE, Row, scale, server},
    verdict::Expected,
    worker::{KIND, QUICK, WAIT, Worker},
};

/// Two workers with room for more than one task.
fn two_workers(row: &Row) -> [Process; 2] {
    ["one", "two"].map(|name| Role::Work(Worker { places: 4, ..row.worker(name) }).spawn())
}

/// Kills the server while tasks come in and are worked off, and counts.
async fn killed_under_load(name: &'static str, fsync: Fsync) {
    let (tasks, kills) = (scale(240, 4_000), scale(2, 12));
    let mut row = Row::on(name, server().appendonly(fsync).start().await.unwrap()).await;
    let _workers = two_workers(&row);
    let mut producer = Role::Produce(row.producer("producer", Orders::of(tasks, QUICK))).spawn();
    for kill in 1..=kills {
        let so_far = tasks * kill / (kills + 1);
        eventually(|| async { row.count(Event::Accepted) >= so_far }, PATIENCE).await;
        row.restart_server().await;
    }
    assert!(producer.ended().await);
    if fsync == Fsync::Always {
        row.unwritten.clear();
    }
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.attempted, sum.acknowledged), (tasks, tasks));
}

#[tokio::test]
async fn a_server_killed_under_load_with_an_fsync_each_second_loses_nothing() {
    killed_under_load("redis killed, everysec", Fsync::EverySec).await;
}

#[tokio::test]
async fn a_server_killed_under_load_with_an_fsync_for_each_answer_loses_nothing() {
    killed_under_load("redis killed, always", Fsync::Always).await;
}

#[tokio::test]
async fn tasks_that_run_while_the_server_is_away_are_acknowledged_when_it_is_back() {
    let mut row =
        Row::on("redis killed in the handler", server().appendonly(Fsync::Always).start().await.unwrap()).await;
    row.produce(&Orders::of(4, WAIT)).await;
    let worker = Worker { lease_ms: None, places: 4, ..row.worker("first") };
    let _first = Role::Work(worker.clone()).spawn();
    eventually(|| async { row.count(Event::Begin) == 4 }, PATIENCE).await;
    row.kill_server().await;
    worker.let_go();
    row.runs(4).await;
    row.server.restart().await.unwrap();
    eventually(|| async { row.count(Event::Finished) == 4 }, PATIENCE).await;
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (4, 0), "the leases outlived the restart");
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_again_and_again_loses_nothing() {
    let tasks = scale(200, 5_000);
    let row = Row::new("script cache emptied").await;
    let _workers = two_workers(&row);
    let work = async {
        row.produce(&Orders { batch: 5, ..Orders::of(tasks, QUICK) }).await;
        row.drained().await;
    };
    let forget = async {
        loop {
            row.server.cli(&["SCRIPT", "FLUSH"]);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! { () = forget => unreachable!(), () = work => {} }
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (tasks, 0));
}

#[tokio::test]
async fn a_full_server_refuses_what_is_new_and_lets_what_it_has_be_finished() {
    let row = Row::new("maxmemory reached").await;
    let before = row.produce(&Orders { batch: 20, ..Orders::of(60, WAIT) }).await;
    let worker = Worker { places: 4, ..row.worker("first") };
    let _worker = Role::Work(worker.clone()).spawn();
    eventually(|| async { row.count(Event::Begin) == 4 }, PATIENCE).await;
    row.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    worker.let_go();
    let refused = row.queues.enqueue(&row.queue, NewTask::new(&row.queue, KIND, QUICK)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    let mut producer = Role::Produce(row.producer("producer", Orders::of(20, QUICK))).spawn();
    for id in before {
        assert_eq!(row.ended(id).await.state, TaskState::Completed);
    }
    row.written("producer", Event::Attempt).await;
    assert!(!row.entries().iter().any(|it| it.who == "producer" && it.event == Event::Accepted));
    row.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(producer.ended().await);
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (80, 0));
}
