//! Managers as processes have them, running.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use trackside_cache::{
    CacheManager, CacheStore, Cached, Config, Error, Freshness, LoadOptions, MemoryCacheStore, Namespace, Policy,
};
use trackside_core::{Clock, SystemClock, Timestamp};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A manager that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) cache: CacheManager,
    shutdown: CancellationToken,
    _task: JoinHandle<()>,
}

/// A clock that follows tokio's.
#[derive(Debug)]
struct TokioClock(Instant);

/// Counts how often it was called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

// === impl Running ===

impl Running {
    pub(crate) fn over(store: Arc<dyn CacheStore>, config: Config) -> Self {
        let cache = CacheManager::new(store, config);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (cache, shutdown) = (cache.clone(), shutdown.clone());
            async move { cache.run(shutdown).await }
        });
        Self { cache, shutdown, _task: task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

// === impl TokioClock ===

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

// === impl Calls ===

impl Calls {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn called(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Loads `value`, counting.
    pub(crate) async fn load(&self, namespace: &Namespace, key: &str, value: &'static str) -> Result<Cached, Error> {
        let calls = self.clone();
        let loader = move || async move {
            calls.called();
            Ok(Some(Bytes::from_static(value.as_bytes())))
        };
        namespace.get_or_load(key, LoadOptions::default(), loader).await
    }
}

/// Quick marks, so that no test waits for them.
pub(crate) fn config(policy: Policy) -> Config {
    Config {
        default_policy: Policy { ttl_jitter: 0.0, ..policy },
        mark_every: Duration::from_millis(50),
        retry: Duration::from_millis(50),
        sweep_pause: Duration::ZERO,
        ..Config::default()
    }
}

pub(crate) fn bounded(by: Duration) -> Policy {
    Policy { freshness: Freshness::Bounded { by }, ..Policy::default() }
}

pub(crate) fn memory() -> Arc<MemoryCacheStore> {
    Arc::new(MemoryCacheStore::new(&Config::default(), Arc::new(SystemClock::default())))
}

/// A store whose time is tokio's, so that a test can have it pass.
pub(crate) fn memory_in_paused_time() -> Arc<MemoryCacheStore> {
    Arc::new(MemoryCacheStore::new(&Config::default(), Arc::new(TokioClock(Instant::now()))))
}

pub(crate) async fn text(namespace: &Namespace, key: &str) -> Option<String> {
    let cached = namespace.get(key).await.unwrap()?;
    cached.value().map(|value| String::from_utf8(value.to_vec()).unwrap())
}
