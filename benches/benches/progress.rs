//! What a progress update costs beside a bare `GET` of the same client: the floor is one round trip.
//!
//! `cargo bench -p trackside-benches --bench progress`

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use trackside_progress::{
    Config, NewOperation, ProgressId, ProgressStore, ProgressTracker, Receipt, RedisProgressStore, StepSpec, Update,
};
use trackside_redis::{Command, RedisService};
use trackside_testkit::RedisServer;

/// Updates that are under way at once in the throughput bench.
const AT_ONCE: u64 = 64;

struct Bed {
    _server: RedisServer,
    redis: RedisService,
    tracker: ProgressTracker,
    id: ProgressId,
}

async fn bed() -> Bed {
    let server = RedisServer::start().await.expect("a redis-server");
    let url = server.url().parse().expect("the server's address");
    let redis = RedisService::start(trackside_redis::Config::new(url)).expect("a service");
    redis.wait_until_connected(Duration::from_secs(10)).await.expect("a connection");
    let set = Command::new("SET").key("bare").arg("a value of twenty-four b");
    redis.execute("bench.set", set).await.expect("a value to get");
    let config = Config::default();
    let store: Arc<dyn ProgressStore> = Arc::new(RedisProgressStore::new(redis.clone(), &config));
    let tracker = ProgressTracker::new(store, config);
    let id: ProgressId = "bench".parse().expect("an id");
    start(&tracker, &id).await;
    Bed { _server: server, redis, tracker, id }
}

async fn start(tracker: &ProgressTracker, id: &ProgressId) {
    let steps = ["fetch", "parse", "index", "report"].map(StepSpec::named).to_vec();
    tracker.put(id, NewOperation { steps, ttl: None }).await.expect("an operation");
}

/// An update that is never thinned out: its message differs from the one before.
async fn update(tracker: &ProgressTracker, id: &ProgressId, n: u64) {
    let step = ["fetch", "parse", "index", "report"][usize::try_from(n % 4).expect("below 4")];
    let update = Update { step: Some(step.into()), message: Some(format!("file {n}")), ..Update::default() };
    let receipt = tracker.patch(id, update).await.expect("an update");
    assert_eq!(receipt, Receipt::Written);
}

async fn get(redis: &RedisService) {
    black_box(redis.execute("bench.get", Command::new("GET").key("bare")).await.expect("a value"));
}

fn progress(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = runtime.block_on(bed());
    let mut n = 0;

    let mut group = criterion.benchmark_group("progress/latency");
    group.bench_function("bare GET", |bencher| bencher.to_async(&runtime).iter(|| get(&bed.redis)));
    group.bench_function("update", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            n += 1;
            update(&bed.tracker, &bed.id, n)
        });
    });
    group.bench_function("snapshot", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(bed.tracker.get(&bed.id).await.expect("a state")) });
    });
    group.finish();

    let ids: Vec<ProgressId> = (0..AT_ONCE).map(|n| format!("bench-{n}").parse().expect("an id")).collect();
    runtime.block_on(async {
        for id in &ids {
            start(&bed.tracker, id).await;
        }
    });
    let mut group = criterion.benchmark_group("progress/64 at once");
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("bare GET", |bencher| {
        bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| get(&bed.redis))));
    });
    group.bench_function("update", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            n += 1;
            futures::future::join_all(ids.iter().map(|id| update(&bed.tracker, id, n)))
        });
    });
    group.finish();
    runtime.block_on(bed.redis.shutdown());
}

criterion_group!(benches, progress);
criterion_main!(benches);
