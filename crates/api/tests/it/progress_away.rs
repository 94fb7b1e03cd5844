//! Progress with its store away: reports are taken and written later, streams stay open and say so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use serde_json::json;
use trackside_core::{ErrorKind, SystemClock};
use trackside_progress::{
    Append, Appended, Error, EventId, Frame, Head, LiveFeed, MemoryProgressStore, ProgressId, ProgressStore,
};
use trackside_queue::MemoryQueueStore;

use crate::service::{Service, body, memory_progress, problem, setup_of};

/// A store that can be taken away and brought back.
#[derive(Debug)]
struct Flaky {
    store: MemoryProgressStore,
    away: AtomicBool,
}

impl Flaky {
    fn check(&self, operation: &'static str) -> Result<(), Error> {
        if !self.away.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::Store { operation, kind: ErrorKind::Unavailable, source: "10.0.0.7: connection refused".into() })
    }
}

#[async_trait]
impl ProgressStore for Flaky {
    async fn head(&self, id: &ProgressId) -> Result<Head, Error> {
        self.check("head")?;
        self.store.head(id).await
    }

    async fn append(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error> {
        self.check("append")?;
        self.store.append(id, append).await
    }

    async fn read_after(&self, id: &ProgressId, after: EventId) -> Result<Option<Vec<Frame>>, Error> {
        self.check("read_after")?;
        self.store.read_after(id, after).await
    }

    fn listen(&self, id: &ProgressId) -> LiveFeed {
        self.store.listen(id)
    }
}

async fn service() -> (Service, Arc<Flaky>) {
    let progress = Arc::new(Flaky { store: memory_progress(), away: AtomicBool::new(false) });
    let queues = MemoryQueueStore::new(trackside_queue::Config::default(), Arc::new(SystemClock::default()));
    let service =
        Service::with(setup_of(Arc::new(queues), Arc::clone(&progress) as Arc<dyn ProgressStore>).await).await;
    body(service.request("PUT", "/v1/progress/import-42").send().await.unwrap(), 200).await;
    (service, progress)
}

#[tokio::test]
async fn reports_are_taken_and_reach_followers_when_the_store_is_back() {
    let (service, store) = service().await;
    let path = "/v1/progress/import-42/events";
    let mut early = service.events(path, None).await;
    assert_eq!(early.event().await.unwrap().name, "snapshot");
    store.away.store(true, Ordering::SeqCst);

    let report = json!({"status": "completed", "message": "all pages"});
    let taken = service.request("PATCH", "/v1/progress/import-42").json(&report).send().await.unwrap();
    assert_eq!(body(taken, 202).await, json!({"id": "import-42", "outcome": "buffered"}));
    assert_eq!(service.read("/v1/progress/import-42").await["id"], "import-42", "what this process wrote last");
    let mut late = service.events(path, None).await;
    assert_eq!(late.event().await.unwrap().name, "degraded");

    store.away.store(false, Ordering::SeqCst);
    for events in [early, late] {
        let events = events.rest().await;
        assert_eq!(events.last().unwrap().json()["status"], "completed", "{events:?}");
    }
}

#[tokio::test]
async fn what_this_process_does_not_know_is_unavailable() {
    let (service, store) = service().await;
    store.away.store(true, Ordering::SeqCst);
    let refused = problem(service.get("/v1/progress/other").send().await.unwrap(), 503, "store-unavailable").await;
    assert!(!refused.to_string().contains("10.0.0.7"), "{refused}");
}

#[tokio::test]
async fn a_task_is_settled_although_its_followers_cannot_hear_of_it() {
    let (service, store) = service().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    store.away.store(true, Ordering::SeqCst);
    let settled = service.say(&id, "ack", json!({"fence": leased["fence"]}), 200).await;
    assert_eq!(settled["status"], "completed");
    let mut events = service.events(&format!("/v1/tasks/{id}/events"), None).await;
    assert_eq!(events.event().await.unwrap().name, "degraded");
}
