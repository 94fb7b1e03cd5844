//! What a circuit breaker costs around a call: ours, two others, and the call alone, in the same run.
//!
//! `cargo bench -p trackside-benches --bench breaker`
//!
//! - `closed`: one successful call. `trackside` is told how long the call took, as its users measure that anyway for
//!   their metrics; `trackside, timed` pays for the two clock readings too, as tower-resilience does inside.
//! - `open`: one refusal.
//! - `two threads`: the closed path of one breaker shared by two threads; time per call of either thread.
//!
//! The others run with their own defaults, except for open times of an hour.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use failsafe::CircuitBreaker as _;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use trackside_core::SystemClock;
use trackside_resilience::{BackoffConfig, BreakerConfig, CircuitBreaker};

const HOUR: Duration = Duration::from_secs(3_600);
const ELAPSED: Duration = Duration::from_micros(100);

criterion_group!(benches, closed, open, two_threads);
criterion_main!(benches);

fn closed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker/closed");
    group.bench_function("the call alone", |bencher| bencher.iter(work));

    let breaker = trackside();
    group.bench_function("trackside", |bencher| bencher.iter(|| trackside_call(&breaker)));
    group.bench_function("trackside, timed", |bencher| bencher.iter(|| trackside_timed_call(&breaker)));

    let breaker = failsafe::Config::new().build();
    group.bench_function("failsafe", |bencher| bencher.iter(|| breaker.call(work)));

    let runtime = runtime();
    group.bench_function("tower service alone", |bencher| {
        bencher.iter_custom(|calls| runtime.block_on(tower_calls(service_fn(tower_work), calls)));
    });
    let service = tower_layer().layer(service_fn(tower_work));
    group.bench_function("tower-resilience", |bencher| {
        bencher.iter_custom(|calls| runtime.block_on(tower_calls(service.clone(), calls)));
    });
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker/open");

    let breaker = trackside();
    for _ in 0..breaker.config().consecutive_failures {
        breaker.acquire().expect("closed").failure(ELAPSED);
    }
    group.bench_function("trackside", |bencher| bencher.iter(|| breaker.acquire().map(drop)));

    let policy = failsafe::failure_policy::consecutive_failures(1, failsafe::backoff::constant(HOUR));
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    assert!(breaker.call(|| Err::<(), ()>(())).is_err());
    group.bench_function("failsafe", |bencher| bencher.iter(|| breaker.call(work)));

    let runtime = runtime();
    let service = tower_layer().layer(service_fn(tower_work));
    runtime.block_on(service.force_open());
    group.bench_function("tower-resilience", |bencher| {
        bencher.iter_custom(|calls| runtime.block_on(tower_calls(service.clone(), calls)));
    });
    group.finish();
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker/two threads");

    let breaker = trackside();
    group.bench_function("trackside", |bencher| {
        bencher.iter_custom(|calls| on_two_threads(|| repeat(calls, || trackside_call(&breaker))));
    });

    let breaker = failsafe::Config::new().build();
    group.bench_function("failsafe", |bencher| {
        bencher.iter_custom(|calls| on_two_threads(|| repeat(calls, || breaker.call(work))));
    });

    let service = tower_layer().layer(service_fn(tower_work));
    group.bench_function("tower-resilience", |bencher| {
        bencher.iter_custom(|calls| {
            on_two_threads(|| {
                let service = service.clone();
                runtime().block_on(tower_calls(service, calls))
            })
        });
    });
    group.finish();
}

/// The call around which the breakers stand.
fn work() -> Result<u64, Infallible> {
    Ok(black_box(1))
}

fn trackside() -> CircuitBreaker {
    let open_backoff = BackoffConfig { initial: HOUR, max: HOUR, ..BackoffConfig::default() };
    let config = BreakerConfig { open_backoff, ..BreakerConfig::default() };
    CircuitBreaker::new("bench", config, Arc::new(SystemClock::default()))
}

fn trackside_call(breaker: &CircuitBreaker) -> Result<u64, Infallible> {
    let permit = breaker.acquire().expect("closed");
    let answer = work();
    permit.success(black_box(ELAPSED));
    answer
}

fn trackside_timed_call(breaker: &CircuitBreaker) -> Result<u64, Infallible> {
    let permit = breaker.acquire().expect("closed");
    let started = Instant::now();
    let answer = work();
    permit.success(started.elapsed());
    answer
}

fn tower_work((): ()) -> Ready<Result<u64, Infallible>> {
    ready(work())
}

fn tower_layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::builder().wait_duration_in_open(HOUR).build().expect("the defaults are valid")
}

/// The time of `calls` calls, one after the other.
async fn tower_calls<S: Service<()>>(mut service: S, calls: u64) -> Duration {
    let started = Instant::now();
    for _ in 0..calls {
        // Both refusals and answers are results here; only their cost is looked at.
        let answer = match service.ready().await {
            Ok(service) => service.call(()).await,
            Err(refused) => Err(refused),
        };
        black_box(answer.is_ok());
    }
    started.elapsed()
}

fn repeat<T>(calls: u64, mut call: impl FnMut() -> T) -> Duration {
    let started = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    started.elapsed()
}

/// Runs `calls` on two threads at once; the longer time of the two.
fn on_two_threads(calls: impl Fn() -> Duration + Sync) -> Duration {
    let start = Barrier::new(2);
    let timed = || {
        start.wait();
        calls()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(timed);
        timed().max(other.join().expect("the other thread"))
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}
