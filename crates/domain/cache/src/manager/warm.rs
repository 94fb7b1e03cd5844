//! Warming: loaders that are run at start-up and on demand.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, future::BoxFuture, stream};

use super::{CacheManager, LoadError};

/// Warms something; it may be called many times.
type Warmer = Arc<dyn Fn() -> BoxFuture<'static, Result<(), LoadError>> + Send + Sync>;

/// What is to be warmed, in the order in which it was named.
#[derive(Default)]
pub(crate) struct Warmers(Mutex<Vec<(String, Warmer)>>);

/// How far warming is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmProgress {
    /// What was just warmed.
    pub name: String,
    /// Why it was not, when it failed.
    pub error: Option<String>,
    /// How many are done, failed ones too.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// How warming ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmOutcome {
    /// How many are warm.
    pub warmed: usize,
    /// How many failed.
    pub failed: usize,
}

// === impl CacheManager ===

impl CacheManager {
    /// Adds something to be warmed, usually by [`get_or_load`](super::Namespace::get_or_load). One of the same name is
    /// replaced.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # use std::sync::Arc;
    /// # use trackside_cache::{CacheManager, Config, MemoryCacheStore};
    /// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
    /// # let cache = CacheManager::new(Arc::new(store), Config::default());
    /// let pages = cache.namespace("page")?;
    /// cache.on_warm("home page", move || {
    ///     let pages = pages.clone();
    ///     async move {
    ///         pages.get_or_load("home", Default::default(), || async { Ok(Some("loaded".into())) }).await?;
    ///         Ok(())
    ///     }
    /// });
    /// let outcome = cache.warm(4.try_into().unwrap(), |progress| assert_eq!(progress.error, None)).await;
    /// assert_eq!(outcome.warmed, 1);
    /// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
    /// ```
    pub fn on_warm<F, Fut>(&self, name: impl Into<String>, warmer: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), LoadError>> + Send + 'static,
    {
        let name = name.into();
        let mut warmers = self.inner.warmers.0.lock().unwrap_or_else(PoisonError::into_inner);
        warmers.retain(|(known, _)| *known != name);
        warmers.push((name, Arc::new(move || Box::pin(warmer()))));
    }

    /// Warms everything, so many at once, and tells of each one. One that fails ends nothing. Cancel-safe: what is warm
    /// stays warm.
    pub async fn warm(&self, at_once: NonZeroUsize, mut tell: impl FnMut(WarmProgress) + Send) -> WarmOutcome {
        let warmers = self.inner.warmers.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let total = warmers.len();
        let named = |(name, warmer): (String, Warmer)| -> BoxFuture<'static, _> {
            Box::pin(async move { (name, warmer().await) })
        };
        // Made before they are polled: a closure in the stream would keep this future from being `Send`.
        let warming: Vec<_> = warmers.into_iter().map(named).collect();
        let mut warming = stream::iter(warming).buffer_unordered(at_once.get());
        let mut outcome = WarmOutcome { warmed: 0, failed: 0 };
        while let Some((name, result)) = warming.next().await {
            let error = result.err().map(|error| error.to_string());
            match &error {
                None => outcome.warmed += 1,
                Some(error) => {
                    outcome.failed += 1;
                    tracing::warn!(cache.warmer = %name, error, "a part of the cache was not warmed");
                }
            }
            tell(WarmProgress { name, error, done: outcome.warmed + outcome.failed, total });
        }
        outcome
    }
}

// === impl Warmers ===

impl fmt::Debug for Warmers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warmers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(warmers.iter().map(|(name, _)| name)).finish()
    }
}
