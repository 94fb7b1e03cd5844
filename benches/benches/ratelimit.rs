//! What a check costs: in the process beside governor, which never leaves it, and in the store beside a bare `GET` of the same
//! client.
//!
//! `cargo bench -p trackside-benches --bench ratelimit`

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[path = "shared/stage.rs"]
mod stage;

use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use trackside_benches::Turns;
use trackside_ratelimit::{
    Algorithm, Config, Decision, Dimension, Limit, Policy, PolicyName, Quota, RateLimiter, RedisRateLimitStore, Source,
    Subject,
};

use self::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);
/// A limit that no bench comes near, and one that all of them are beyond.
const AMPLE: u64 = 1_000_000_000;
const SCARCE: u64 = 1;
/// Of `exact`, which remembers every unit: so that it allows some and denies the others.
const EXACT: u64 = 100;
/// Checks that are under way at once in the throughput bench.
const AT_ONCE: u64 = 64;

const THREE: [Dimension; 3] = [Dimension::User, Dimension::Project, Dimension::Ip];
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth, Algorithm::Fast];

struct Bed {
    stage: Stage,
    limiter: RateLimiter,
    subject: Subject,
}

fn name(text: &str) -> PolicyName {
    text.parse().expect("a name")
}

fn policy(dimensions: &[Dimension], limit: u64, algorithm: Algorithm) -> Policy {
    let quota = Quota { algorithm, ..Quota::new(limit, MINUTE) };
    Policy::of(dimensions.iter().map(|dimension| Limit::new(*dimension, quota)))
}

/// Policies by what the benches call them: `one <algorithm>`, `three <algorithm>`, and those that are decided in the process.
fn policies() -> Config {
    let counted = ALGORITHMS.into_iter().flat_map(|algorithm| {
        let limit = if algorithm == Algorithm::Exact { EXACT } else { AMPLE };
        let of = |count: &str, dimensions| {
            (name(&format!("{count}-{}", algorithm.as_str())), policy(dimensions, limit, algorithm))
        };
        [of("one", &THREE[..1]), of("three", &THREE[..])]
    });
    let window = |dimensions, limit| policy(dimensions, limit, Algorithm::Window);
    let leased = |dimensions| Policy { leases: true, ..window(dimensions, AMPLE) };
    let at_hand = [
        (name("leased"), leased(&THREE[..1])),
        (name("leased-three"), leased(&THREE[..])),
        (name("denied"), window(&THREE[..1], SCARCE)),
        (name("denied-three"), window(&THREE[..], SCARCE)),
    ];
    Config { policies: counted.chain(at_hand).collect(), deny_for: Duration::ZERO, ..Config::default() }
}

async fn bed(config: Config) -> Bed {
    let stage = Stage::start(b"59").await;
    let store = Arc::new(RedisRateLimitStore::new(stage.redis.clone()));
    let limiter = RateLimiter::new(store, config).expect("policies that can be obeyed");
    let subject = Subject::of(Dimension::User, "user-4711")
        .and_then(|subject| subject.with(Dimension::Project, "project-42"))
        .and_then(|subject| subject.with(Dimension::Ip, "203.0.113.9"));
    Bed { stage, limiter, subject: subject.expect("a subject") }
}

async fn check(bed: &Bed, policy: &PolicyName) -> Decision {
    bed.limiter.check(policy, &bed.subject, 1).await.expect("an answer")
}

/// Until a counter is known to be hot, or to have no room.
async fn warm(bed: &Bed, policy: &PolicyName) {
    for _ in 0..200 {
        check(bed, policy).await;
    }
}

fn in_the_process(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = runtime.block_on(bed(Config { deny_for: MINUTE, ..policies() }));
    let mut group = criterion.benchmark_group("ratelimit/in the process");
    group.throughput(Throughput::Elements(1));
    let ample = NonZeroU32::new(1_000_000_000).expect("not zero");
    let governor = governor::RateLimiter::keyed(governor::Quota::per_second(ample));
    let key = "user-4711".to_owned();
    group.bench_function("governor", |bencher| bencher.iter(|| black_box(governor.check_key(&key))));
    for what in ["denied", "denied-three", "leased", "leased-three"] {
        let policy = name(what);
        runtime.block_on(warm(&bed, &policy));
        group.bench_function(what, |bencher| {
            // In one task: entering the runtime for each would take as long as a third of a check.
            bencher.to_async(&runtime).iter_custom(async |checks| {
                let begun = Instant::now();
                for _ in 0..checks {
                    black_box(check(&bed, &policy).await);
                }
                begun.elapsed()
            });
        });
    }
    group.finish();
    print_round_trips(&bed.limiter);
    runtime.block_on(bed.stage.redis.shutdown());
}

/// How many of the checks went to the store.
#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "it is what the bench is for")]
fn print_round_trips(limiter: &RateLimiter) {
    for stats in
        limiter.stats().into_iter().filter(|stats| stats.allowed[Source::Lease as usize] + stats.remembered > 0)
    {
        let asked = |counts: [u64; 3]| counts[Source::Redis as usize];
        let all: u64 = stats.allowed.iter().chain(&stats.denied).sum();
        let reached = asked(stats.allowed) + asked(stats.denied) - stats.remembered;
        let percent = reached as f64 * 100.0 / all as f64;
        println!(
            "ratelimit/in the process: of {all} checks of {} {reached} reached the store, {percent:.4} %",
            stats.policy
        );
    }
}

/// Checks of each kind in turn, and their medians beside that of a bare `GET`.
async fn in_turn(bed: Arc<Bed>) {
    let kinds: Vec<(&'static str, PolicyName)> = [
        "one-window",
        "three-window",
        "one-smooth",
        "three-smooth",
        "one-exact",
        "three-exact",
        "one-fast",
        "three-fast",
    ]
    .into_iter()
    .map(|kind| (kind, name(kind)))
    .collect();
    let mut turns = Turns::default();
    for _ in 0..Turns::count() {
        turns.time("bare GET", bed.stage.get()).await;
        for (kind, policy) in &kinds {
            black_box(turns.time(kind, check(&bed, policy)).await);
        }
    }
    turns.print("ratelimit/in the store");
}

fn in_the_store(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = Arc::new(runtime.block_on(bed(policies())));
    // In a task, as the callers of a service are.
    runtime.block_on(runtime.spawn(in_turn(Arc::clone(&bed)))).expect("no panic");
    let kinds = ["one-window", "three-window", "one-fast", "three-fast"].map(|kind| (kind, name(kind)));
    let mut group = criterion.benchmark_group("ratelimit/in the store");
    group.bench_function("bare GET", |bencher| bencher.to_async(&runtime).iter(|| bed.stage.get()));
    for (kind, policy) in &kinds {
        group.bench_function(*kind, |bencher| {
            bencher.to_async(&runtime).iter(|| async { black_box(check(&bed, policy).await) });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("ratelimit/64 at once");
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("bare GET", |bencher| {
        bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| bed.stage.get())));
    });
    for (kind, policy) in &kinds {
        group.bench_function(*kind, |bencher| {
            bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| check(&bed, policy))));
        });
    }
    group.finish();
    runtime.block_on(bed.stage.redis.shutdown());
}

criterion_group!(benches, in_the_process, in_the_store);
criterion_main!(benches);
