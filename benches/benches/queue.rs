//! What a task costs on Redis, beside a bare `GET` of the same client in the same run.
//!
//! `cargo bench -p trackside-benches --bench queue`
//!
//! - `GET`: one round trip that does nearly nothing: what client, network and server cost before any queue.
//! - `enqueue`: one call with 1 or 64 tasks of 200 bytes.
//! - `cycle`: a batch of 1, 8 or 64 tasks enqueued, claimed, and acknowledged in the step that claims the next batch:
//!   two round trips. The throughput counts tasks.
//!
//! One caller waits for each answer, so that these are latencies: a server takes many such callers at once. The server
//! is fresh, on this machine, and writes no file.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use trackside_core::{QueueName, WorkerId};
use trackside_queue::{
    ClaimedTask, Config, MAX_BATCH, NewTask, Outcome, QueueStore, RedisQueueStore, Settlement, Step,
};
use trackside_redis::{Command, RedisService};
use trackside_testkit::RedisServer;

const PAYLOAD_BYTES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

/// A store on a server of its own.
struct Stage {
    runtime: Runtime,
    server: RedisServer,
    service: RedisService,
    store: RedisQueueStore,
    queue: QueueName,
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    targets = queue
}
criterion_main!(benches);

fn queue(criterion: &mut Criterion) {
    let stage = Stage::new();
    let mut group = criterion.benchmark_group("queue");

    group.bench_function("GET", |bencher| bencher.to_async(&stage.runtime).iter(|| stage.get()));

    for count in [1, 64] {
        stage.server.cli(&["FLUSHALL"]);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("enqueue", count), &count, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.enqueue(calls, count));
        });
    }
    for count in [1, 8, 64] {
        stage.server.cli(&["FLUSHALL"]);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("cycle", count), &count, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.cycles(calls, count));
        });
    }
    group.finish();
}

// === impl Stage ===

impl Stage {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(RedisServer::start()).expect("a Redis server");
        let service = runtime.block_on(async {
            let url = server.url().parse().expect("the server's own URL");
            let service = RedisService::start(trackside_redis::Config::new(url)).expect("a client");
            service.wait_until_connected(PATIENCE).await.expect("a connection");
            service
        });
        let store = runtime.block_on(async { RedisQueueStore::new(service.clone(), Config::default()) });
        let queue = "bench".parse().expect("a queue name");
        Self { runtime, server, service, store, queue }
    }

    async fn get(&self) {
        let reply = self.service.execute("get", Command::new("GET").key("bench:value")).await;
        black_box(reply.expect("an answer"));
    }

    /// Time for so many calls; making the tasks is not counted.
    async fn enqueue(&self, calls: u64, count: u64) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..calls {
            let tasks = self.tasks(count);
            let begun = Instant::now();
            black_box(self.store.enqueue(&self.queue, &tasks).await.expect("enqueued"));
            took += begun.elapsed();
        }
        took
    }

    /// Time for so many batches to be enqueued, claimed and acknowledged.
    async fn cycles(&self, calls: u64, count: u64) -> Duration {
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
                worker: worker.clone(),
                settle: held.drain(..).map(completed).collect(),
                renew: Vec::new(),
                credits: if is_last { 0 } else { credits },
                lease: Config::default().lease,
            };
            held = self.store.step(&self.queue, step).await.expect("stepped").claimed;
            took += begun.elapsed();
            assert_eq!(held.len(), if is_last { 0 } else { credits }, "every cycle does its work");
        }
        took
    }

    fn tasks(&self, count: u64) -> Vec<NewTask> {
        let payload = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
        (0..count).map(|_| NewTask::new(&self.queue, "bench", payload.clone())).collect()
    }
}

fn completed(task: ClaimedTask) -> Settlement {
    Settlement { id: task.id, fence: task.fence, outcome: Outcome::Completed { result: None } }
}
