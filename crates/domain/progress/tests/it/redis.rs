//! What only a real server can show: restarts, lost answers, outages, and what is left in it.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trackside_core::KeyPrefix;
use trackside_progress::{
    Config, EventKind, FinalStatus, Lookup, NewOperation, ProgressId, ProgressStore, ProgressTracker, Receipt,
    RedisProgressStore, Status, StepSpec, Update,
};
use trackside_redis::RedisService;
use trackside_testkit::{FaultProxy, RedisServer, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A service with its own prefix, connected.
pub(crate) async fn connect(url: &str, prefix: &str) -> RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let redis = RedisService::start(trackside_redis::Config { prefix: KeyPrefix::new(prefix), ..config }).unwrap();
    redis.wait_until_connected(SOON).await.unwrap();
    redis
}

async fn tracker(url: &str, prefix: &str) -> ProgressTracker {
    let config = Config { retry: Duration::from_millis(50), ..Config::default() };
    let store = RedisProgressStore::new(connect(url, prefix).await, &config);
    ProgressTracker::new(Arc::new(store), config)
}

fn message(text: &str) -> Update {
    Update { message: Some(text.into()), ..Update::default() }
}

#[tokio::test]
async fn clients_of_two_processes_that_come_and_go_end_with_the_final_state() {
    let server = RedisServer::shared().await;
    let (prefix, config) = (server.unique_prefix(), Config { history: 4_096.try_into().unwrap(), ..Config::default() });
    let store = || async {
        let redis = connect(&server.url(), &prefix).await;
        Arc::new(RedisProgressStore::new(redis, &config)) as Arc<dyn ProgressStore>
    };
    crate::disconnects::everybody_ends_with_the_same([store().await, store().await], config.clone()).await;
}

#[tokio::test]
async fn every_key_has_a_time_to_live_and_an_update_is_one_round_trip() {
    let server = RedisServer::start().await.unwrap();
    let tracker = tracker(&server.url(), "ttl:").await;
    let id: ProgressId = "op".parse().unwrap();
    tracker
        .put(&id, NewOperation { steps: vec![StepSpec::named("a")], ttl: Some(Duration::from_secs(100)) })
        .await
        .unwrap();
    tracker.patch(&id, message("one")).await.unwrap();
    let ttl: i64 = server.cli(&["PTTL", "ttl:progress:op"]).parse().unwrap();
    assert!((1..=100_000).contains(&ttl), "{ttl}");
    assert_eq!(server.cli(&["KEYS", "*"]), "ttl:progress:op");
    server.cli(&["CONFIG", "RESETSTAT"]);
    tracker.patch(&id, message("two")).await.unwrap();
    let calls = server.cli(&["INFO", "commandstats"]);
    assert!(calls.contains("cmdstat_xadd:calls=1") && calls.contains("cmdstat_publish:calls=1"), "{calls}");
    assert!(!calls.contains("xrange") && !calls.contains("evalsha"), "{calls}");
}

#[tokio::test]
async fn a_lost_answer_repeats_no_event() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let writer = tracker(&format!("redis://127.0.0.1:{}", proxy.port()), "").await;
    let reader = tracker(&server.url(), "").await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (writer, shutdown) = (writer.clone(), shutdown.clone());
        async move { writer.run(shutdown).await }
    });
    let id: ProgressId = "op".parse().unwrap();
    writer.put(&id, NewOperation::default()).await.unwrap();
    assert_eq!(writer.log(&id, "before").await.unwrap(), Receipt::Written);
    proxy.drop_replies();
    assert_eq!(writer.log(&id, "its answer is lost").await.unwrap(), Receipt::Buffered);
    eventually(|| async { server.cli(&["XLEN", "progress:op"]) == "3" }, SOON).await;
    assert_eq!(writer.log(&id, "while away").await.unwrap(), Receipt::Buffered);
    proxy.cut();
    proxy.heal();
    eventually(|| async { matches!(writer.log(&id, "after").await, Ok(Receipt::Written)) }, SOON).await;
    shutdown.cancel();
    running.await.unwrap();
    reader.finish(&id, FinalStatus::Completed, None).await.unwrap();
    let entries = server.cli(&["XRANGE", "progress:op", "-", "+"]);
    for line in ["before", "its answer is lost", "while away"] {
        assert_eq!(entries.matches(&format!("\"line\":\"{line}\"")).count(), 1, "{line}: {entries}");
    }
}

#[tokio::test]
async fn what_a_server_without_memory_does_not_take_is_known_to_this_process_and_written_later() {
    let server = RedisServer::start().await.unwrap();
    let tracker = tracker(&server.url(), "").await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (tracker, shutdown) = (tracker.clone(), shutdown.clone());
        async move { tracker.run(shutdown).await }
    });
    let id: ProgressId = "op".parse().unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(tracker.ensure(&id, NewOperation::default()).await.unwrap(), Receipt::Buffered);
    assert_eq!(tracker.get(&id).await.unwrap().unwrap().id, id);
    assert_eq!(tracker.lookup(&id, None).await.unwrap(), Lookup::Open);
    let mut events = Box::pin(tracker.events(&id, None));
    assert_eq!(events.next().await.unwrap().kind, EventKind::Degraded);
    assert_eq!(tracker.lookup(&"other".parse().unwrap(), None).await.unwrap(), Lookup::Unknown);

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(timeout(SOON, events.next()).await.unwrap().unwrap().kind, EventKind::Snapshot);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn through_a_kill_of_the_server_a_stream_stays_open_and_the_end_is_not_lost() {
    let server = RedisServer::builder().appendonly(trackside_testkit::Fsync::Always).start().await.unwrap();
    let (writer, reader) = (tracker(&server.url(), "").await, tracker(&server.url(), "").await);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (writer, shutdown) = (writer.clone(), shutdown.clone());
        async move { writer.run(shutdown).await }
    });
    let id: ProgressId = "op".parse().unwrap();
    writer.put(&id, NewOperation::default()).await.unwrap();
    let mut events = Box::pin(reader.events(&id, None));
    assert_eq!(events.next().await.unwrap().kind, EventKind::Snapshot);
    server.kill9();
    assert_eq!(tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap().kind, EventKind::Degraded);
    for n in 0..1_000 {
        writer.log(&id, format!("line {n}")).await.unwrap();
    }
    assert_eq!(writer.finish(&id, FinalStatus::Failed, None).await.unwrap(), Receipt::Buffered);
    server.restart().await.unwrap();
    let rest: Vec<_> = tokio::time::timeout(SOON, events.collect()).await.unwrap();
    let counted: Vec<_> = rest.iter().filter(|event| event.id.is_some()).collect();
    assert!(counted.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(rest.iter().filter(|event| event.kind == EventKind::Result).count(), 1);
    assert_eq!(rest.last().unwrap().kind, EventKind::End);
    // The oldest lines made room; the buffer is bounded.
    let lines = rest.iter().filter(|event| event.kind == EventKind::Log).count();
    let bound = Config::default().buffered_updates.get() + trackside_progress::MAX_FRAMES;
    assert!((1..=bound).contains(&lines), "{lines}");
    assert_eq!(reader.get(&id).await.unwrap().unwrap().status, Status::Failed);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_server_that_has_lost_everything_gets_the_running_operation_back() {
    let server = RedisServer::start().await.unwrap();
    let tracker = tracker(&server.url(), "").await;
    let id: ProgressId = "op".parse().unwrap();
    tracker
        .put(&id, NewOperation { steps: vec![StepSpec::named("a"), StepSpec::named("b")], ttl: None })
        .await
        .unwrap();
    tracker.patch(&id, Update { step: Some("a".into()), percent: Some(100.0), ..Update::default() }).await.unwrap();
    let mut events = Box::pin(tracker.events(&id, None));
    assert_eq!(events.next().await.unwrap().kind, EventKind::Snapshot);
    server.cli(&["FLUSHALL"]);
    tracker.patch(&id, message("still here")).await.unwrap();
    let snapshot = tracker.get(&id).await.unwrap().unwrap();
    assert_eq!((snapshot.percent, snapshot.message.as_deref()), (50.0, Some("still here")));
    let kinds: Vec<_> = events.by_ref().take(2).map(|event| event.kind).collect().await;
    assert_eq!(kinds, [EventKind::Reset, EventKind::Snapshot]);
}
