//! Networks that lose the answer and not the question, and networks that lose everything.

use std::time::Duration;

use tokio::time::timeout;
use trackside_queue::TaskState;
use trackside_testkit::{FaultProxy, eventually};

use crate::{
    journal::Event,
    process::Role,
    producer::{Orders, Producer},
    row::{PATIENCE, Row, ended_by, scale},
    verdict::Expected,
    worker::{QUICK, WAIT, Worker},
};

/// How long a fault lasts at most.
const FAULT: Duration = Duration::from_secs(3);

async fn proxy(row: &Row) -> (FaultProxy, String) {
    let proxy = FaultProxy::start(row.server.port()).await.unwrap();
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    (proxy, url)
}

/// Loses answers until the server has done more than the other side knows of, then breaks the connections; each time
/// when `known` has grown by `every`.
async fn lose_answers(row: &Row, proxy: &FaultProxy, known: Event, every: usize, times: usize) {
    for time in 1..=times {
        eventually(|| async { row.count(known) >= time * every }, PATIENCE).await;
        proxy.drop_replies();
        let is_ahead = || async {
            let stats = row.stats().await;
            let done = if known == Event::Accepted { stats.created } else { stats.completed };
            done > row.count(known) as u64
        };
        // Where the connection ended before the question was asked, there is nothing to wait for.
        timeout(FAULT, eventually(is_ahead, PATIENCE)).await.ok();
        // A connection that lost an answer is out of step; real ones end with it.
        proxy.cut();
        proxy.heal();
    }
}

#[tokio::test]
async fn an_enqueue_whose_answer_is_lost_again_and_again_adds_each_task_once() {
    let (tasks, times) = (scale(60, 2_000), scale(3, 15));
    let row = Row::new("enqueue's answer lost").await;
    let (proxy, url) = proxy(&row).await;
    let producer = Producer { url, ..row.producer("producer", Orders::of(tasks, QUICK)) };
    let mut producer = Role::Produce(producer).spawn();
    lose_answers(&row, &proxy, Event::Accepted, tasks / (times + 1), times).await;
    assert!(producer.ended().await);
    let _finisher = row.finisher();
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.attempted, sum.acknowledged, sum.duplicated), (tasks, tasks, 0));
}

#[tokio::test]
async fn a_settlement_whose_answer_is_lost_again_and_again_counts_once() {
    let (tasks, times) = (scale(200, 4_000), scale(3, 15));
    let row = Row::new("settlement's answer lost").await;
    row.produce(&Orders { batch: 50, ..Orders::of(tasks, QUICK) }).await;
    let (proxy, url) = proxy(&row).await;
    let _worker = Role::Work(Worker { url, places: 4, ping_ms: Some(2_000), ..row.worker("one") }).spawn();
    lose_answers(&row, &proxy, Event::Finished, tasks / (times + 1), times).await;
    let sum = row.finish(Expected::default()).await;
    assert_eq!(sum.acknowledged, tasks);
}

#[tokio::test]
async fn a_worker_that_is_cut_off_for_longer_than_its_lease_stops_its_task_by_its_own_clock() {
    let row = Row::new("partition beyond the lease").await;
    let (proxy, url) = proxy(&row).await;
    let id = row.enqueue(WAIT).await;
    let _first = Role::Work(Worker { url, ..row.worker("first") }).spawn();
    row.written("first", Event::Begin).await;
    let second = row.worker("second");
    let _second = Role::Work(second.clone()).spawn();
    proxy.blackhole();
    row.written("second", Event::Begin).await;
    second.let_go();
    assert_eq!(ended_by(&row.ended(id).await), (TaskState::Completed, Some("second")));
    row.written("first", Event::Stopped).await;
    proxy.cut();
    proxy.heal();
    row.written("first", Event::Lost).await;
    let entries = row.entries();
    let at = |who: &str, event: Event| entries.iter().find(|it| it.who == who && it.event == event).unwrap().at;
    // A machine that is busy with other tests may be late; the long pass has it for itself.
    let slack = Duration::from_secs(scale(20, 0) as u64);
    assert!(at("first", Event::Stopped) <= at("second", Event::Begin).plus(slack), "{entries:?}");
    row.finish(Expected::default()).await;
}
