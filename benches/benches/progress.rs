//! What a progress update costs beside a bare `GET` of the same client: the floor is one round trip.
//!
//! `cargo bench -p trackside-benches --bench progress`

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[path = "shared/stage.rs"]
mod stage;

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use trackside_progress::{
    Config, NewOperation, ProgressId, ProgressStore, ProgressTracker, Receipt, RedisProgressStore, StepSpec, Update,
};

use self::stage::Stage;

/// Updates that are under way at once in the throughput bench.
const AT_ONCE: u64 = 64;

struct Bed {
    stage: Stage,
    tracker: ProgressTracker,
    id: ProgressId,
}

async fn bed() -> Bed {
    let stage = Stage::start(b"a value of twenty-four b").await;
    let config = Config::default();
    let store: Arc<dyn ProgressStore> = Arc::new(RedisProgressStore::new(stage.redis.clone(), &config));
    let tracker = ProgressTracker::new(store, config);
    let id: ProgressId = "bench".parse().expect("an id");
    start(&tracker, &id).await;
    Bed { stage, tracker, id }
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

fn progress(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = runtime.block_on(bed());
    let mut n = 0;

    let mut group = criterion.benchmark_group("progress/latency");
    group.bench_function("bare GET", |bencher| bencher.to_async(&runtime).iter(|| bed.stage.get()));
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
        bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| bed.stage.get())));
    });
    group.bench_function("update", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            n += 1;
            futures::future::join_all(ids.iter().map(|id| update(&bed.tracker, id, n)))
        });
    });
    group.finish();
    runtime.block_on(bed.stage.redis.shutdown());
}

criterion_group!(benches, progress);
criterion_main!(benches);
