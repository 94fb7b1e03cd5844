//! What a task costs on Redis, beside a bare `GET` of the same client in the same run.
//!
//! `cargo bench -p trackside-benches --bench queue`
//!
//! - `GET`: one round trip that does nearly nothing: what client, network and server cost before any queue.
//! - `enqueue`: one call with 1, 64 or 256 tasks of 200 bytes.
//! - `cycle`: a batch of 1, 8, 64 or 256 tasks enqueued, claimed, and acknowledged in the step that claims the next
//!   batch: two round trips. The throughput counts tasks.
//! - `cycle-aof`: the same on a server that keeps an append-only file, fsynced every second.
//! - `depth`: the cycle of 64 in front of 10 to a million waiting tasks, which must not matter.
//! - `processor`: a full queue worked off by one processor with 1, 16 or 64 places and handlers that do nothing.
//! - `pick-up`: from the call that enqueues to the start of the handler, in an idle queue.
//! - what a queued and what a finished task weigh, and how many tasks a second the scripts could do for clients that cost
//!   nothing: printed at the end.
//!
//! In the first five one caller waits for each answer, so that these are latencies: a server takes many such callers at
//! once. Each server is fresh and on this machine.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

mod ceiling;
mod processor;
mod stage;
mod weight;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use trackside_testkit::{Fsync, RedisServer};

use self::stage::Stage;

/// Of these the first is so small that a batch empties the queue.
const DEPTHS: [u64; 3] = [10, 10_000, 1_000_000];

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    targets = calls, durable, depths, processor::places, processor::pick_up, weight::print, ceiling::print
}
criterion_main!(benches);

fn calls(criterion: &mut Criterion) {
    let stage = Stage::new(RedisServer::builder());
    let mut group = criterion.benchmark_group("queue");
    group.bench_function("GET", |bencher| bencher.to_async(&stage.runtime).iter(|| stage.get()));
    for count in [1, 64, 256] {
        stage.server.cli(&["FLUSHALL"]);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("enqueue", count), &count, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.enqueue(calls, count));
        });
    }
    for count in [1, 8, 64, 256] {
        stage.server.cli(&["FLUSHALL"]);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("cycle", count), &count, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.cycles(calls, count));
        });
    }
    group.finish();
}

fn durable(criterion: &mut Criterion) {
    let stage = Stage::new(RedisServer::builder().appendonly(Fsync::EverySec));
    let mut group = criterion.benchmark_group("queue");
    for count in [1, 8, 64, 256] {
        stage.server.cli(&["FLUSHALL"]);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("cycle-aof", count), &count, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.cycles(calls, count));
        });
    }
    group.finish();
}

fn depths(criterion: &mut Criterion) {
    const BATCH: u64 = 64;
    let stage = Stage::new(RedisServer::builder());
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(BATCH));
    let mut there = 0;
    for depth in DEPTHS {
        stage.runtime.block_on(stage.fill(depth - there));
        there = depth;
        group.bench_with_input(BenchmarkId::new("depth", depth), &BATCH, |bencher, &count| {
            bencher.to_async(&stage.runtime).iter_custom(|calls| stage.cycles(calls, count));
        });
    }
    group.finish();
}
