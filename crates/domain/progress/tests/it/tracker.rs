//! The tracker over the memory store.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trackside_core::SystemClock;
use trackside_progress::{
    Config, Error, EventKind, FinalStatus, Lookup, MemoryProgressStore, NewOperation, ProgressId, ProgressTracker,
    Receipt, Status, StepSpec, Update,
};

fn tracker() -> ProgressTracker {
    let config = Config::default();
    let store = MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default()));
    ProgressTracker::new(Arc::new(store), config)
}

fn id(text: &str) -> ProgressId {
    text.parse().unwrap()
}

fn two_steps() -> NewOperation {
    NewOperation { steps: vec![StepSpec::named("read"), StepSpec { name: "write".into(), weight: 3.0 }], ttl: None }
}

fn step(name: &str, percent: f64) -> Update {
    Update { step: Some(name.into()), percent: Some(percent), ..Update::default() }
}

#[tokio::test]
async fn steps_roll_up_and_the_end_completes_them() {
    let (tracker, id) = (tracker(), id("op"));
    assert_eq!(tracker.put(&id, two_steps()).await.unwrap(), Receipt::Written);
    assert_eq!(tracker.put(&id, two_steps()).await.unwrap(), Receipt::Unchanged);
    tracker.patch(&id, step("read", 100.0)).await.unwrap();
    let snapshot = tracker.get(&id).await.unwrap().unwrap();
    assert_eq!(
        (snapshot.percent, snapshot.status, snapshot.steps[0].status),
        (25.0, Status::Running, Status::Completed)
    );
    tracker.finish(&id, FinalStatus::Completed, Some(json!({"rows": 7}))).await.unwrap();
    let snapshot = tracker.get(&id).await.unwrap().unwrap();
    assert_eq!((snapshot.percent, snapshot.status, snapshot.steps[1].percent), (100.0, Status::Completed, 100.0));
    assert_eq!(snapshot.result, Some(json!({"rows": 7})));
    assert!(matches!(tracker.patch(&id, step("read", 1.0)).await, Err(Error::Finished { .. })));
    assert_eq!(tracker.finish(&id, FinalStatus::Completed, None).await.unwrap(), Receipt::Unchanged);
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let (tracker, id) = (tracker(), id("op"));
    assert!(matches!(tracker.patch(&id, step("read", 1.0)).await, Err(Error::Unknown(_))));
    tracker.put(&id, two_steps()).await.unwrap();
    let error = tracker.patch(&id, step("wriet", 1.0)).await.unwrap_err();
    assert!(error.to_string().contains("\"write\""), "{error}");
    assert!(matches!(tracker.patch(&id, step("read", 101.0)).await, Err(Error::InvalidInput { field: "percent", .. })));
    assert!(matches!(tracker.patch(&id, step("read", f64::NAN)).await, Err(Error::InvalidInput { .. })));
    assert!(matches!(tracker.publish(&id, EventKind::Result, json!({})).await, Err(Error::InvalidInput { .. })));
    let large = "x".repeat(70_000);
    assert!(matches!(tracker.log(&id, large).await, Err(Error::InvalidInput { field: "data", .. })));
}

#[tokio::test]
async fn a_stream_tells_every_event_in_order_and_ends() {
    let (tracker, id) = (tracker(), id("op"));
    tracker.put(&id, two_steps()).await.unwrap();
    let events = tracker.events(&id, None);
    tokio::pin!(events);
    assert_eq!(events.next().await.unwrap().kind, EventKind::Snapshot);
    tracker.patch(&id, step("read", 10.0)).await.unwrap();
    tracker.log(&id, "line one").await.unwrap();
    tracker.publish(&id, EventKind::State, json!({"phase": "parked"})).await.unwrap();
    tracker
        .patch(&id, Update { status: Some(Status::Failed), message: Some("disk full".into()), ..Update::default() })
        .await
        .unwrap();
    let rest: Vec<_> = events.collect().await;
    let kinds: Vec<_> = rest.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["progress", "log", "state", "progress", "result", "end"]);
    assert!(rest.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(tracker.lookup(&id, rest.last().unwrap().id).await.unwrap(), Lookup::Complete);
    assert_eq!(tracker.lookup(&id, rest[4].id).await.unwrap(), Lookup::Open);

    // A client that missed only the end gets only the end; one that has it gets it again, and nothing else.
    for seen in [&rest[4], &rest[5]] {
        let again: Vec<_> = tracker.events(&id, seen.id).map(|event| event.kind).collect().await;
        assert_eq!(again, [EventKind::End]);
    }
    let resumed: Vec<_> = tracker.events(&id, rest[1].id).collect().await;
    assert_eq!(resumed, rest[2..]);
}

#[tokio::test]
async fn an_id_that_is_not_kept_resets_the_stream() {
    let (tracker, id) = (tracker(), id("op"));
    tracker.put(&id, two_steps()).await.unwrap();
    tracker.finish(&id, FinalStatus::Cancelled, None).await.unwrap();
    let kinds: Vec<_> = tracker.events(&id, "5-5".parse().ok()).map(|event| event.kind).collect().await;
    assert_eq!(kinds, [EventKind::Reset, EventKind::Snapshot, EventKind::End]);
}

#[tokio::test]
async fn starting_over_after_the_end_begins_a_new_epoch() {
    let (tracker, id) = (tracker(), id("op"));
    tracker.put(&id, two_steps()).await.unwrap();
    tracker.finish(&id, FinalStatus::Failed, None).await.unwrap();
    let first: Vec<_> = tracker.events(&id, None).collect().await;
    assert_eq!(tracker.put(&id, two_steps()).await.unwrap(), Receipt::Written);
    tracker.finish(&id, FinalStatus::Completed, None).await.unwrap();
    let (end, id) = (first.last().unwrap().id, id);
    let second: Vec<_> = tracker.events(&id, end).collect().await;
    assert_eq!(second[0].kind, EventKind::Reset);
    assert!(second[1].id > end && second[1].id.unwrap().epoch > end.unwrap().epoch);
}

#[tokio::test(start_paused = true)]
async fn a_percentage_that_crawls_is_told_once_in_a_while_and_its_last_value_always() {
    let (tracker, id) = (tracker(), id("op"));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (tracker, shutdown) = (tracker.clone(), shutdown.clone());
        async move { tracker.run(shutdown).await }
    });
    tracker.put(&id, NewOperation::default()).await.unwrap();
    let events = tracker.events(&id, None);
    tokio::pin!(events);
    events.next().await.unwrap();
    tracker.patch(&id, Update { percent: Some(10.0), ..Update::default() }).await.unwrap();
    assert_eq!(events.next().await.unwrap().kind, EventKind::Progress);
    for hundredths in 1..=50 {
        let update = Update { percent: Some(10.0 + f64::from(hundredths) / 100.0), ..Update::default() };
        assert_eq!(tracker.patch(&id, update).await.unwrap(), Receipt::Coalesced);
    }
    let event = tokio::time::timeout(Duration::from_millis(200), events.next()).await.unwrap().unwrap();
    assert!(event.data.contains("\"percent\":10.5,"), "{}", event.data);
    let step = tracker.patch(&id, Update { percent: Some(11.5), ..Update::default() }).await.unwrap();
    assert_eq!(step, Receipt::Written);
    shutdown.cancel();
    running.await.unwrap();
}
