//! The cache, by the words of `cargo xtask peers --caches`.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::join_all;
use serde_json::{Value, json};
use trackside_cache::{CacheManager, Config, LoadOptions, Policy, RedisCacheStore, TypedCache, WriteOptions};
use trackside_redis::RedisService;

use super::{Outcome, timed::timed};

const KEY: &str = "1";
/// How long a loader takes.
const LOAD: Duration = Duration::from_millis(100);

/// A KiB of JSON.
fn value() -> Value {
    json!({ "number": "00000001", "text": "x".repeat(990) })
}

/// A cache that runs; with `local_bytes: 1`, one without copies in the process.
async fn open(policy: Policy) -> Outcome<TypedCache<Value>> {
    let redis = RedisService::start(trackside_redis::Config::new(env::var("PEERS_REDIS_URL")?.parse()?))?;
    redis.wait_until_connected(Duration::from_secs(10)).await?;
    let config = Config { default_policy: policy, ..Config::default() };
    let cache = CacheManager::new(Arc::new(RedisCacheStore::new(redis, &config)), config);
    let pages = TypedCache::new(cache.namespace("peers")?);
    tokio::spawn(async move { cache.run(tokio_util::sync::CancellationToken::new()).await });
    Ok(pages)
}

/// So many calls by so many callers, each of which waits for its answers.
pub(super) async fn calls(what: &str, places: usize, count: usize) -> Outcome<Value> {
    let policy = Policy::default();
    let local_bytes = if what == "redis" { 1 } else { policy.local_bytes };
    let pages = &open(Policy { local_bytes, ..policy }).await?;
    pages.set(KEY, &value(), WriteOptions::default()).await?;
    let call = async |_| -> Outcome<()> {
        let found = match what {
            "memory" | "redis" => pages.get(KEY).await?,
            "load" => pages.get_or_load(KEY, LoadOptions::default(), || async { Ok(Some(value())) }).await?,
            "set" => return Ok(pages.set(KEY, &value(), WriteOptions::default()).await.map(drop)?),
            other => return Err(format!("nothing is called {other}").into()),
        };
        if found.is_some_and(|found| found["number"] == "00000001") { Ok(()) } else { Err("another value".into()) }
    };
    timed(places, count, call).await
}

/// How often the loader of a cold key runs here, when other processes ask at the same time.
pub(super) async fn stampede(callers: usize, at: f64) -> Outcome<Value> {
    let pages = open(Policy::default()).await?;
    let loads = Arc::new(AtomicUsize::new(0));
    let until = Duration::from_secs_f64(at).saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH)?);
    tokio::time::sleep(until).await;
    let ask = || {
        let loads = Arc::clone(&loads);
        let loader = move || async move {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(LOAD).await;
            Ok(Some(value()))
        };
        pages.get_or_load("cold", LoadOptions::default(), loader)
    };
    for answer in join_all((0..callers).map(|_| ask())).await {
        answer?.ok_or("nothing was loaded")?;
    }
    Ok(json!({ "loads": loads.load(Ordering::Relaxed) }))
}
