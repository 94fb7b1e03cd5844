//! What a cache hit costs: in the process beside the library that keeps the copies, and in the store beside a bare `GET` of
//! the same client.
//!
//! `cargo bench -p trackside-benches --bench cache`

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[path = "shared/stage.rs"]
mod stage;

use std::{hint::black_box, num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quick_cache::sync::Cache;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use trackside_benches::Turns;
use trackside_cache::{
    CacheManager, Config, Freshness, LoadOptions, Namespace, Policy, RedisCacheStore, TypedCache, WriteOptions,
};

use self::stage::Stage;

/// Keys that are read in turn, all of them in the process.
const KEYS: usize = 1_000;
/// A value of the usual size.
const VALUE: [u8; 300] = [b'7'; 300];
/// Reads that are under way at once in the throughput bench.
const AT_ONCE: u64 = 64;

struct Bed {
    stage: Arc<Stage>,
    cache: CacheManager,
}

async fn bed() -> Bed {
    let stage = Arc::new(Stage::start(&VALUE).await);
    let strict = Policy { freshness: Freshness::Strict, ..Policy::default() };
    let mut config = Config { max_namespaces: NonZeroUsize::MAX, ..Config::default() };
    config.namespaces.insert("strict".parse().expect("a name"), strict);
    let cache = CacheManager::new(Arc::new(RedisCacheStore::new(stage.redis.clone(), &config)), config);
    tokio::spawn({
        let cache = cache.clone();
        async move { cache.run(CancellationToken::new()).await }
    });
    Bed { stage, cache }
}

fn name(key: usize) -> String {
    format!("a-key-of-usual-length:{key}")
}

async fn filled(cache: &CacheManager, namespace: &str) -> Namespace {
    let namespace = cache.namespace(namespace).expect("a namespace");
    let options = WriteOptions { ttl: Some(Duration::from_secs(3_600)), ..WriteOptions::default() };
    for key in 0..KEYS {
        namespace.set(&name(key), VALUE.as_slice(), options.clone()).await.expect("a value");
    }
    // Read once more, so that the copies are of the epoch that is heard of.
    for key in 0..KEYS {
        namespace.get(&name(key)).await.expect("an answer").expect("a value");
    }
    namespace
}

fn in_the_process(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = runtime.block_on(bed());
    let pages = runtime.block_on(filled(&bed.cache, "page"));
    let typed: TypedCache<u64> = TypedCache::new(bed.cache.namespace("typed").expect("a namespace"));
    runtime.block_on(typed.set("a", &7, WriteOptions::default())).expect("a value");
    let raw: Cache<Arc<str>, Bytes> = Cache::new(KEYS * 2);
    let names: Vec<String> = (0..KEYS).map(name).collect();
    for name in &names {
        raw.insert(Arc::from(name.as_str()), Bytes::copy_from_slice(&VALUE));
    }
    let mut group = criterion.benchmark_group("cache/hit in the process");
    let mut key = 0;
    let mut next = || {
        key = (key + 1) % KEYS;
        names[key].as_str()
    };
    group.bench_function("quick_cache", |bencher| bencher.iter(|| black_box(raw.get(next()).expect("a value"))));
    group.bench_function("get_local", |bencher| bencher.iter(|| black_box(pages.get_local(next()).expect("a copy"))));
    group.bench_function("get_local, keeping the bytes", |bencher| {
        bencher.iter(|| black_box(pages.get_local(next()).expect("a copy").into_value()));
    });
    group.bench_function("get", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let (pages, name) = (&pages, next());
            async move { black_box(pages.get(name).await.expect("an answer").expect("a copy")) }
        });
    });
    group.bench_function("get_or_load", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let (pages, name) = (&pages, next());
            async move { black_box(pages.get_or_load(name, LoadOptions::default(), || async { Ok(None) }).await) }
        });
    });
    group.bench_function("typed get", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(typed.get("a").await.expect("an answer")) });
    });
    group.finish();
    runtime.block_on(bed.stage.redis.shutdown());
}

/// Reads of each kind in turn.
async fn in_turn(stage: Arc<Stage>, cold: Namespace, strict: Namespace, name: String) {
    let mut turns = Turns::default();
    for _ in 0..Turns::count() {
        turns.time("bare GET", stage.get()).await;
        drop(turns.time("get", cold.get(&name)).await);
        drop(turns.time("get_or_load", cold.get_or_load(&name, LoadOptions::default(), || async { Ok(None) })).await);
        drop(turns.time("strict get", strict.get(&name)).await);
    }
    turns.print("cache/hit in the store");
}

fn in_the_store(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let bed = runtime.block_on(bed());
    let strict = runtime.block_on(filled(&bed.cache, "strict"));
    let pages = runtime.block_on(filled(&bed.cache, "page"));
    // A namespace whose copies do not fit: each read is one of the store, as those of a process that just started.
    let policy = Policy { local_bytes: 1, ..Policy::default() };
    let config = Config { default_policy: policy, ..Config::default() };
    let store = Arc::new(RedisCacheStore::new(bed.stage.redis.clone(), &config));
    let cold = CacheManager::new(store, config).namespace("page").expect("a namespace");
    let name = name(7);
    // In a task, as the callers of a service are.
    let reads = in_turn(Arc::clone(&bed.stage), cold.clone(), strict.clone(), name.clone());
    runtime.block_on(runtime.spawn(reads)).expect("no panic");
    let mut group = criterion.benchmark_group("cache/hit in the store");
    group.bench_function("bare GET", |bencher| bencher.to_async(&runtime).iter(|| bed.stage.get()));
    group.bench_function("get", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(cold.get(&name).await.expect("an answer")) });
    });
    group.bench_function("strict get", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(strict.get(&name).await.expect("an answer")) });
    });
    group.bench_function("set", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            black_box(pages.set(&name, VALUE.as_slice(), WriteOptions::default()).await.expect("an answer"))
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("cache/64 at once");
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("bare GET", |bencher| {
        bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| bed.stage.get())));
    });
    group.bench_function("get", |bencher| {
        bencher.to_async(&runtime).iter(|| futures::future::join_all((0..AT_ONCE).map(|_| cold.get(&name))));
    });
    group.finish();
    runtime.block_on(bed.stage.redis.shutdown());
}

criterion_group!(benches, in_the_process, in_the_store);
criterion_main!(benches);
