//! A store on a server of its own, and what is done with it again and again.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::runtime::Runtime;
use trackside_core::{QueueName, WorkerId};
use trackside_queue::{
    ClaimedTask, Config, MAX_BATCH, NewTask, Outcome, QueueStore, RedisQueueStore, Settlement, Step,
};
use trackside_redis::{Command, RedisService};
use trackside_testkit::{RedisServer, RedisServerBuilder};

/// What handlers are chosen by.
pub(crate) const KIND: &str = "bench";
const PAYLOAD_BYTES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);
/// Calls on their way at once while a queue is filled.
const FILLERS: u64 = 8;

/// A store on a server of its own.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    pub(crate) server: RedisServer,
    pub(crate) store: RedisQueueStore,
    pub(crate) queue: QueueName,
    service: RedisService,
}

// === impl Stage ===

impl Stage {
    pub(crate) fn new(server: RedisServerBuilder) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(server.start()).expect("a Redis server");
        let service = runtime.block_on(async {
            let url = server.url().parse().expect("the server's own URL");
            let service = RedisService::start(trackside_redis::Config::new(url)).expect("a client");
            service.wait_until_connected(PATIENCE).await.expect("a connection");
            service
        });
        let store = runtime.block_on(async { RedisQueueStore::new(service.clone(), Config::default()) });
        let queue = "bench".parse().expect("a queue name");
        Self { runtime, server, store, queue, service }
    }

    pub(crate) async fn get(&self) {
        let reply = self.service.execute("get", Command::new("GET").key("bench:value")).await;
        black_box(reply.expect("an answer"));
    }

    /// Lets the queue know of a worker.
    pub(crate) async fn introduce(&self, worker: &WorkerId) {
        let step = Step { slots: Some(1), ..Step::new(worker.clone(), Config::default().lease) };
        self.store.step(&self.queue, step).await.expect("stepped");
    }

    /// Time for so many calls; making the tasks is not counted.
    pub(crate) async fn enqueue(&self, calls: u64, count: u64) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..calls {
            let tasks = self.tasks(count);
            let begun = Instant::now();
            black_box(self.store.enqueue(&self.queue, &tasks).await.expect("enqueued"));
            took += begun.elapsed();
        }
        took
    }

    /// Time for so many batches to be enqueued, claimed and acknowledged. The queue is as deep afterwards as before.
    pub(crate) async fn cycles(&self, calls: u64, count: u64) -> Duration {
        let worker = WorkerId::generate("bench");
        let credits = usize::try_from(count).expect("a batch").min(MAX_BATCH);
        let mut held: Vec<ClaimedTask> = Vec::new();
        let mut took = Duration::ZERO;
        for call in 0..=calls {
            let tasks = self.tasks(count);
            let begun = Instant::now();
            let is_last = call == calls;
            if !is_last {
                self.store.enqueue(&self.queue, &tasks).await.expect("enqueued");
            }
            let step = Step {
                settle: held.drain(..).map(completed).collect(),
                credits: if is_last { 0 } else { credits },
                ..Step::new(worker.clone(), Config::default().lease)
            };
            held = self.store.step(&self.queue, step).await.expect("stepped").claimed;
            took += begun.elapsed();
            assert_eq!(held.len(), if is_last { 0 } else { credits }, "every cycle does its work");
        }
        took
    }

    /// Adds so many tasks, several batches at a time.
    pub(crate) async fn fill(&self, count: u64) {
        let batch = u64::try_from(MAX_BATCH).expect("a batch");
        let lane = |lane: u64| async move {
            for from in (lane * batch..count).step_by(usize::try_from(FILLERS * batch).expect("a step")) {
                let tasks = self.tasks(batch.min(count - from));
                self.store.enqueue(&self.queue, &tasks).await.expect("enqueued");
            }
        };
        join_all((0..FILLERS).map(lane)).await;
    }

    pub(crate) fn tasks(&self, count: u64) -> Vec<NewTask> {
        let payload = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
        (0..count).map(|_| NewTask::new(&self.queue, KIND, payload.clone())).collect()
    }
}

pub(crate) fn completed(task: ClaimedTask) -> Settlement {
    Settlement { id: task.id, fence: task.fence, outcome: Outcome::completed(None) }
}
