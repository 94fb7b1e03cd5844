//! What users hold: namespaces over a store, with copies in the process.

mod coherence;
mod flights;
mod load;
mod local;
mod namespace;
mod outage;
mod read;
mod run;
mod stats;
mod streak;
mod sweep;
mod tags;
mod warm;
mod watch;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_util::task::TaskTracker;

use self::{
    coherence::Coherence,
    flights::Flights,
    local::{Local, Nanos, nanos},
    outage::Outage,
    stats::Stats,
    streak::Streak,
    warm::Warmers,
    watch::Alerts,
};
pub use self::{
    load::LoadError,
    namespace::{Cached, LoadOptions, Loaded, Namespace, Receipt, WriteOptions},
    stats::NamespaceStats,
    tags::Invalidated,
    warm::{WarmOutcome, WarmProgress},
};
use crate::{CacheStore, Config, EntryKey, Error, KeyLayout, NamespaceName, Policy, Tag};

/// A cache of many namespaces. Clones share it all.
///
/// It works from the moment it is made. [`run`](Self::run) makes it hear of changes elsewhere, writes what was remembered
/// during an outage, and sweeps; without it, copies in the process are used only as long as their namespace lets them be
/// behind.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use trackside_cache::{CacheManager, Config, MemoryCacheStore, WriteOptions};
/// use trackside_core::SystemClock;
///
/// let store = MemoryCacheStore::new(&Config::default(), Arc::new(SystemClock::default()));
/// let cache = CacheManager::new(Arc::new(store), Config::default());
/// let pages = cache.namespace("page")?;
/// pages.set("home", "<h1>Hello</h1>", WriteOptions::default()).await?;
/// let page = pages.get("home").await?.unwrap();
/// assert_eq!(page.value().unwrap(), "<h1>Hello</h1>");
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct CacheManager {
    inner: Arc<Inner>,
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    store: Arc<dyn CacheStore>,
    config: Config,
    spaces: RwLock<HashMap<NamespaceName, Arc<Space>>>,
    coherence: Coherence,
    outage: Outage,
    warmers: Warmers,
    pub(crate) alerts: Alerts,
    sizes: sweep::Sizes,
    /// Loaders that run in the background.
    tasks: TaskTracker,
}

/// One namespace of this process.
#[derive(Debug)]
pub(crate) struct Space {
    name: NamespaceName,
    policy: Policy,
    layout: KeyLayout,
    /// How far behind the store an answer may be.
    behind: Nanos,
    /// Every entry bears it.
    tag: Tag,
    local: Local,
    flights: Flights,
    /// Of the loads that asked the store.
    streak: Streak,
    stats: Stats,
}

// === impl CacheManager ===

impl CacheManager {
    /// A cache over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn CacheStore>, config: Config) -> Self {
        let outage = Outage::new(config.remembered.get());
        let inner = Inner {
            store,
            config,
            spaces: RwLock::default(),
            coherence: Coherence::new(),
            outage,
            warmers: Warmers::default(),
            alerts: Alerts::default(),
            sizes: sweep::Sizes::default(),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A namespace, by its name. Hold on to it: finding it costs more than a hit.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a malformed name, [`Error::InvalidInput`] when this process uses too many namespaces
    /// already.
    pub fn namespace(&self, name: &str) -> Result<Namespace, Error> {
        let name: NamespaceName = name.parse()?;
        let policy = self.inner.config.namespaces.get(&name).unwrap_or(&self.inner.config.default_policy);
        self.namespace_of(name, policy.clone())
    }

    /// A namespace that has `policy`, unless it is known with another one already.
    pub(crate) fn namespace_of(&self, name: NamespaceName, policy: Policy) -> Result<Namespace, Error> {
        if let Some(space) = self.inner.space(&name) {
            return Ok(Namespace::new(Arc::clone(&self.inner), space));
        }
        let mut spaces = self.inner.spaces.write().unwrap_or_else(PoisonError::into_inner);
        let limit = self.inner.config.max_namespaces.get();
        if spaces.len() >= limit && !spaces.contains_key(&name) {
            let reason = format!("this process uses {limit} namespaces already");
            return Err(Error::InvalidInput { field: "namespace", reason });
        }
        let space = spaces.entry(name.clone()).or_insert_with(|| Arc::new(Space::new(name, policy)));
        Ok(Namespace::new(Arc::clone(&self.inner), Arc::clone(space)))
    }

    /// The settings of a namespace as the configuration has them, or else what is made of those of every other one.
    pub(crate) fn policy_or(&self, name: &NamespaceName, make: impl FnOnce(&Policy) -> Policy) -> Policy {
        let config = &self.inner.config;
        config.namespaces.get(name).cloned().unwrap_or_else(|| make(&config.default_policy))
    }

    /// What happened in every namespace of this process.
    #[must_use]
    pub fn stats(&self) -> Vec<NamespaceStats> {
        self.inner.all_stats()
    }

    /// Changes that wait for the store to come back.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.inner.outage.len()
    }
}

// === impl Inner ===

impl Inner {
    fn space(&self, name: &NamespaceName) -> Option<Arc<Space>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn all_spaces(&self) -> Vec<Arc<Space>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn all_stats(&self) -> Vec<NamespaceStats> {
        let mut stats: Vec<NamespaceStats> = self.all_spaces().iter().map(|space| self.stats(space)).collect();
        stats.sort_by(|a, b| a.namespace.cmp(&b.namespace));
        stats
    }

    fn stats(&self, space: &Space) -> NamespaceStats {
        let stats = &space.stats;
        let size = self.sizes.of(&space.name);
        NamespaceStats {
            namespace: space.name.to_string(),
            local_hits: stats.local_hits.get(),
            store_hits: stats.store_hits.get(),
            misses: stats.misses.get(),
            stale: stats.stale.get(),
            loads: stats.loads.get(),
            load_errors: stats.load_errors.get(),
            errors: stats.errors.get(),
            writes: stats.writes.get(),
            remembered: stats.remembered.get(),
            local_entries: space.local.len() as u64,
            local_bytes: space.local.bytes(),
            store_entries: size.map(|size| size.entries),
            store_bytes: size.map(|size| size.bytes),
            store_p50: stats.store_times.percentile(50),
            store_p99: stats.store_times.percentile(99),
            load_p99: stats.load_times.percentile(99),
        }
    }
}

// === impl Space ===

impl Space {
    fn new(name: NamespaceName, policy: Policy) -> Self {
        let layout = policy.layout.clone().unwrap_or_else(|| KeyLayout::of(&name));
        let local = Local::new(policy.local_bytes);
        let (tag, flights, stats) = (Tag::of_namespace(&name), Flights::default(), Stats::default());
        let behind = nanos(policy.freshness.behind());
        Self { name, policy, layout, behind, tag, local, flights, streak: Streak::default(), stats }
    }

    fn key(&self, key: &str) -> Result<EntryKey, Error> {
        Ok(EntryKey::new(&self.name, &self.layout, key)?)
    }
}
