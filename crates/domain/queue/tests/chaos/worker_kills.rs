//! Workers that are killed, at each point of a task's way.

use nix::sys::signal::Signal;
use trackside_queue::TaskState;
use trackside_testkit::{FaultProxy, eventually};

use crate::{
    journal::Event,
    process::{Process, Role},
    producer::Orders,
    row::{PATIENCE, Row, ended_by, scale},
    verdict::Expected,
    worker::{ABORT, QUICK, WAIT, Worker},
};

/// A worker whose connection can be broken.
async fn behind_a_proxy(row: &Row, name: &str) -> (FaultProxy, Worker) {
    let proxy = FaultProxy::start(row.server.port()).await.unwrap();
    let worker = Worker { url: format!("redis://127.0.0.1:{}", proxy.port()), ..row.worker(name) };
    (proxy, worker)
}

fn start(worker: &Worker) -> Process {
    Role::Work(worker.clone()).spawn()
}

#[tokio::test]
async fn a_worker_killed_before_the_reply_to_its_claim_arrives_loses_nothing() {
    let row = Row::new("killed before the claim's reply").await;
    let (proxy, first) = behind_a_proxy(&row, "first").await;
    // Without signs of life it does not notice that nothing is answered, and asks.
    let process = start(&Worker { ping_ms: Some(30_000), ..first });
    eventually(|| async { row.server.cli(&["CLIENT", "LIST"]).contains("cmd=blpop") }, PATIENCE).await;
    proxy.drop_replies();
    let id = row.enqueue(QUICK).await;
    // Its wake-up is lost, too; it asks by itself before long.
    eventually(|| async { row.stats().await.active == 1 }, PATIENCE).await;
    row.kill9(process).await;
    let _finisher = row.finisher();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("last")));
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (1, 0));
}

#[tokio::test]
async fn a_worker_killed_after_its_claim_loses_nothing() {
    let row = Row::new("killed after the claim").await;
    let id = row.enqueue(QUICK).await;
    let first = Role::Work(Worker { hangs_at_the_gate: true, ..row.worker("first") }).spawn();
    row.written("first", Event::Claimed).await;
    row.kill9(first).await;
    let _finisher = row.finisher();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("last")));
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (1, 0), "it was never started before");
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_task_has_it_run_again() {
    let row = Row::new("killed in the handler").await;
    let id = row.enqueue(WAIT).await;
    let first = start(&row.worker("first"));
    row.written("first", Event::Begin).await;
    row.kill9(first).await;
    let _finisher = row.finisher();
    let status = row.ended(id).await;
    assert_eq!(ended_by(&status), (TaskState::Completed, Some("last")));
    assert_eq!(status.attempts, 1, "a crash is no failed attempt");
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (1, 0), "the first one had not got to its effect");
}

#[tokio::test]
async fn by_default_settings_the_tasks_of_a_killed_worker_are_in_other_hands_after_one_lease() {
    let row = Row::new("killed, default settings").await;
    row.produce(&Orders::of(4, WAIT)).await;
    let first = Worker { lease_ms: None, places: 4, ..row.worker("first") };
    let second = Worker { name: "second".to_owned(), ..first.clone() };
    second.let_go();
    let process = start(&first);
    eventually(|| async { row.count(Event::Begin) == 4 }, PATIENCE).await;
    let _second = start(&second);
    row.kill9(process).await;
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (4, 0));
    let recovery = sum.recovery.unwrap();
    // A loaded machine may add to it; the long pass has the machine for itself.
    let bound = scale(40, 12);
    assert!(recovery.as_secs_f64() <= bound as f64, "{recovery:?}");
}

#[tokio::test]
async fn a_worker_killed_between_its_handler_and_the_acknowledgement_has_the_task_run_again() {
    let row = Row::new("killed before the ack").await;
    let (proxy, first) = behind_a_proxy(&row, "first").await;
    let id = row.enqueue(WAIT).await;
    let process = start(&first);
    row.written("first", Event::Begin).await;
    proxy.cut();
    first.let_go();
    row.written("first", Event::Run).await;
    row.kill9(process).await;
    let _finisher = row.finisher();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("last")));
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (1, 1), "what it did could not be recorded");
}

#[tokio::test]
async fn a_worker_killed_when_its_acknowledgement_was_applied_has_nothing_run_again() {
    let row = Row::new("killed during the ack").await;
    let (proxy, first) = behind_a_proxy(&row, "first").await;
    let id = row.enqueue(WAIT).await;
    let process = start(&first);
    row.written("first", Event::Begin).await;
    proxy.drop_replies();
    first.let_go();
    eventually(|| async { row.stats().await.completed == 1 }, PATIENCE).await;
    row.kill9(process).await;
    let _finisher = row.finisher();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("first")));
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (1, 0));
}

#[tokio::test]
async fn a_worker_killed_while_it_shuts_down_loses_nothing() {
    let row = Row::new("killed during shutdown").await;
    row.produce(&Orders::of(6, WAIT)).await;
    let first = start(&Worker { places: 3, ..row.worker("first") });
    eventually(|| async { row.count(Event::Begin) == 3 }, PATIENCE).await;
    first.signal(Signal::SIGTERM);
    row.written("first", Event::Draining).await;
    row.kill9(first).await;
    let _finisher = row.finisher();
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (6, 0));
}

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_gives_back_what_it_does_not_finish() {
    let row = Row::new("asked to stop").await;
    let ids = row.produce(&Orders::of(40, QUICK)).await;
    let mut first = start(&Worker { places: 3, ..row.worker("first") });
    row.runs(5).await;
    first.signal(Signal::SIGTERM);
    assert!(first.ended().await);
    let stats = row.stats().await;
    assert_eq!(stats.active, 0, "nothing is left under lease");
    let _finisher = row.finisher();
    for id in ids {
        assert_eq!(row.ended(id).await.state, TaskState::Completed);
    }
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (40, 0));
}

#[tokio::test]
async fn workers_killed_at_any_moment_lose_nothing_and_repeat_only_what_they_held() {
    const PLACES: usize = 4;
    let (tasks, kills) = (scale(300, 3_000), scale(3, 20));
    let row = Row::new("killed at any moment").await;
    row.produce(&Orders { batch: 50, ..Orders::of(tasks, QUICK) }).await;
    for kill in 0..kills {
        let before = row.count(Event::Run);
        let process = start(&Worker { places: PLACES, ..row.worker(&format!("w{kill}")) });
        row.runs(before + 30 + kill).await;
        row.kill9(process).await;
    }
    let _finisher = row.finisher();
    row.drained().await;
    let dead = row.queues.dead_letters(&row.queue, None, kills).await.unwrap();
    // By chance three workers held the same one when they were killed: no queue can tell that from a task that kills them.
    assert!(dead.iter().all(|letter| letter.crashes == 3), "{dead:?}");
    let sum = row.finish(Expected { dead: dead.len(), ..Expected::default() }).await;
    assert_eq!(sum.acknowledged, tasks);
    assert!(sum.duplicated <= kills * PLACES, "{sum}");
}

#[tokio::test]
async fn a_task_that_kills_its_workers_goes_to_the_dead_letters_and_the_others_go_on() {
    let row = Row::new("poison payload").await;
    let (poison, healthy) = (row.enqueue(ABORT).await, row.enqueue(QUICK).await);
    let mut worker = start(&row.worker("w0"));
    let supervisor = async {
        for next in 1.. {
            worker.ended().await;
            row.journal.note(Event::Killed, &worker.name);
            worker = start(&row.worker(&format!("w{next}")));
        }
    };
    let status = tokio::select! { () = supervisor => unreachable!(), status = row.ended(poison) => status };
    assert_eq!(status.state, TaskState::Dead);
    assert!(status.error.as_deref().unwrap().contains("crash loop"), "{:?}", status.error);
    assert_eq!(row.ended(healthy).await.state, TaskState::Completed);
    let tries = row.entries().iter().filter(|it| it.task == Some(poison) && it.event == Event::Begin).count();
    assert_eq!(tries, 3, "as often as a task may crash");
    let letters = row.queues.dead_letters(&row.queue, None, 10).await.unwrap();
    assert_eq!((letters[0].crashes, &*letters[0].payload), (3, ABORT.as_bytes()));
    row.finish(Expected { dead: 1, ..Expected::default() }).await;
}
