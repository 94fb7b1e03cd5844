//! Clients that come and go at random end with the state that the operation ended with.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use serde_json::Value;
use trackside_core::SystemClock;
use trackside_progress::{
    Config, EventId, EventKind, FinalStatus, MemoryProgressStore, NewOperation, ProgressEvent, ProgressId,
    ProgressStore, ProgressTracker, StepSpec, Update,
};

const UPDATES: u32 = 300;

/// What an SSE client knows: it follows the events as the documentation says.
#[derive(Debug, Default)]
struct Client {
    last: Option<EventId>,
    state: Value,
    lines: Vec<String>,
    results: u32,
    resets: u32,
    ended: bool,
}

impl Client {
    fn hear(&mut self, event: &ProgressEvent) {
        if let Some(id) = event.id {
            assert!(self.last.is_none_or(|last| id > last), "{id} after {:?}", self.last);
            self.last = Some(id);
        }
        let data: Value = serde_json::from_str(&event.data).unwrap();
        match event.kind {
            EventKind::Snapshot => self.state = data,
            EventKind::Log => self.lines.push(data["line"].as_str().unwrap().to_owned()),
            EventKind::Progress | EventKind::State | EventKind::Result => {
                self.results += u32::from(event.kind == EventKind::Result);
                for (name, value) in data.as_object().unwrap() {
                    if name == "steps" {
                        self.take_steps(value.as_array().unwrap());
                    } else {
                        self.state[name] = value.clone();
                    }
                }
            }
            EventKind::Reset => self.resets += 1,
            EventKind::End => self.ended = true,
            EventKind::Degraded => {}
        }
    }

    fn take_steps(&mut self, changed: &[Value]) {
        for step in changed {
            for mine in self.state["steps"].as_array_mut().unwrap() {
                if mine["name"] == step["name"] {
                    *mine = step.clone();
                }
            }
        }
    }
}

/// Follows an operation over connections that break after a random number of events.
async fn follow(tracker: ProgressTracker, id: ProgressId, seed: u64) -> Client {
    let mut client = Client::default();
    let mut random = seed;
    while !client.ended {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let patience = usize::try_from(random >> 60).unwrap();
        let events = tracker.events(&id, client.last);
        tokio::pin!(events);
        for _ in 0..=patience {
            match tokio::time::timeout(Duration::from_secs(30), events.next()).await.expect("the stream is stuck") {
                Some(event) => client.hear(&event),
                None => break,
            }
        }
    }
    client
}

async fn work(tracker: &ProgressTracker, id: &ProgressId) {
    for n in 0..UPDATES {
        let name = ["read", "write"][usize::try_from(n % 2).unwrap()];
        let percent = Some(f64::from(n) * 100.0 / f64::from(UPDATES));
        let update = Update { step: Some(name.into()), percent, ..Update::default() };
        tracker.patch(id, update).await.unwrap();
        tracker.log(id, format!("line {n}")).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Two processes write in turn, eight clients come and go; everybody ends with the same.
pub(crate) async fn everybody_ends_with_the_same(stores: [Arc<dyn ProgressStore>; 2], config: Config) {
    let [first, second] = stores.map(|store| ProgressTracker::new(store, config.clone()));
    let id: ProgressId = "op".parse().unwrap();
    let steps = vec![StepSpec::named("read"), StepSpec::named("write")];
    first.put(&id, NewOperation { steps, ttl: None }).await.unwrap();
    let clients: Vec<_> = (0..8)
        .map(|seed| {
            tokio::spawn(follow(
                [first.clone(), second.clone()][usize::try_from(seed % 2).unwrap()].clone(),
                id.clone(),
                seed,
            ))
        })
        .collect();
    work(&first, &id).await;
    work(&second, &id).await;
    second.finish(&id, FinalStatus::Completed, Some(serde_json::json!({"rows": 7}))).await.unwrap();
    let expected = serde_json::to_value(first.get(&id).await.unwrap().unwrap()).unwrap();
    for client in clients {
        let client = client.await.unwrap();
        assert_eq!(client.state, expected);
        assert!(client.results <= 1 && client.resets == 0 && client.ended);
        // Whatever was before its first snapshot is in the snapshot; from there on it has heard every line, once and in order.
        let all: Vec<String> = (0..UPDATES).chain(0..UPDATES).map(|n| format!("line {n}")).collect();
        assert!(all.ends_with(&client.lines), "missed or repeated something: {:?}", client.lines);
    }
}

#[tokio::test]
async fn clients_that_come_and_go_end_with_the_final_state() {
    let config = Config { history: 4_096.try_into().unwrap(), ..Config::default() };
    let store: Arc<dyn ProgressStore> =
        Arc::new(MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default())));
    everybody_ends_with_the_same([Arc::clone(&store), store], config).await;
}

#[tokio::test]
async fn a_client_that_connects_at_the_start_hears_every_line_once_and_the_end_once() {
    let config = Config { history: 4_096.try_into().unwrap(), ..Config::default() };
    let store = Arc::new(MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default())));
    let tracker = ProgressTracker::new(store, config);
    let id: ProgressId = "op".parse().unwrap();
    let steps = vec![StepSpec::named("read"), StepSpec::named("write")];
    tracker.put(&id, NewOperation { steps, ttl: None }).await.unwrap();
    let mut at_the_start = Client::default();
    at_the_start.hear(&Box::pin(tracker.events(&id, None)).next().await.unwrap());
    work(&tracker, &id).await;
    tracker.finish(&id, FinalStatus::Failed, None).await.unwrap();
    let mut events = Box::pin(tracker.events(&id, at_the_start.last));
    while let Some(event) = events.next().await {
        at_the_start.hear(&event);
    }
    assert_eq!((at_the_start.results, at_the_start.resets, at_the_start.ended), (1, 0, true));
    assert!((0..UPDATES).map(|n| format!("line {n}")).eq(at_the_start.lines.iter().cloned()));
}

#[tokio::test]
async fn with_a_short_history_a_slow_client_is_reset_and_still_ends_with_the_final_state() {
    let config = Config { history: 8.try_into().unwrap(), ..Config::default() };
    let store: Arc<dyn ProgressStore> =
        Arc::new(MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default())));
    let tracker = ProgressTracker::new(store, config);
    let id: ProgressId = "op".parse().unwrap();
    let steps = vec![StepSpec::named("read"), StepSpec::named("write")];
    tracker.put(&id, NewOperation { steps, ttl: None }).await.unwrap();
    let mut events = Box::pin(tracker.events(&id, None));
    let mut client = Client::default();
    client.hear(&events.next().await.unwrap());
    work(&tracker, &id).await;
    tracker.finish(&id, FinalStatus::Cancelled, None).await.unwrap();
    while let Some(event) = events.next().await {
        client.hear(&event);
    }
    assert_eq!(client.state, serde_json::to_value(tracker.get(&id).await.unwrap().unwrap()).unwrap());
    assert!(client.resets == 1 && client.ended, "{client:?}");
}
