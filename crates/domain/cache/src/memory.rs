//! The store inside the process: same laws, nothing survives a restart.

mod slots;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::broadcast;
use trackside_core::Clock;

use self::slots::Slots;
use crate::{
    CacheFeed, CacheSignal, CacheStore, Condition, Config, EntryKey, Error, Found, Lookup, NewEntry, StoredEntry,
    SweepCursor, SweepPage, Tag, Writer, Written, feed::FEED_CAPACITY,
};

/// Keeps entries in the memory of this process.
///
/// ```
/// use std::sync::Arc;
/// use trackside_cache::{CacheManager, Config, MemoryCacheStore};
/// use trackside_core::SystemClock;
/// let config = Config::default();
/// let store = MemoryCacheStore::new(&config, Arc::new(SystemClock::default()));
/// let cache = CacheManager::new(Arc::new(store), config);
/// # let _ = cache;
/// ```
#[derive(Debug)]
pub struct MemoryCacheStore {
    clock: Arc<dyn Clock>,
    slots: Mutex<Slots>,
    feeds: broadcast::Sender<CacheSignal>,
}

// === impl MemoryCacheStore ===

impl MemoryCacheStore {
    /// An empty store.
    #[must_use]
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let slots = Mutex::new(Slots::new(config.memory_bytes, clock.now().as_millis().saturating_mul(1_000)));
        Self { clock, slots, feeds: broadcast::channel(FEED_CAPACITY).0 }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody listening is not a failure.
    fn tell(&self, signal: CacheSignal) {
        let _ = self.feeds.send(signal);
    }

    /// Tells of a change while the slots are locked, so that changes are told in their order.
    fn tell_written(&self, key: &EntryKey, written: &Written) {
        if let Written::Done { version, .. } = written {
            let (namespace, key) = (key.namespace.clone(), Arc::clone(&key.key));
            self.tell(CacheSignal::Changed { namespace, key, version: *version });
        }
    }
}

#[async_trait]
impl CacheStore for MemoryCacheStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<StoredEntry>, Error> {
        Ok(self.slots().get(&key.name, self.clock.monotonic()))
    }

    async fn lookup(&self, key: &EntryKey, lookup: &Lookup) -> Result<Found, Error> {
        Ok(self.slots().lookup(&key.name, lookup, self.clock.monotonic()))
    }

    async fn put(&self, key: &EntryKey, entry: &NewEntry, when: Condition, writer: Writer) -> Result<Written, Error> {
        let mut slots = self.slots();
        let written = slots.put(&key.name, entry, when, writer, self.clock.monotonic());
        self.tell_written(key, &written);
        Ok(written)
    }

    async fn delete(&self, key: &EntryKey, when: Condition, writer: Writer) -> Result<Written, Error> {
        let mut slots = self.slots();
        let written = slots.delete(&key.name, when, writer, self.clock.monotonic());
        self.tell_written(key, &written);
        Ok(written)
    }

    async fn renew(&self, key: &EntryKey, lease: Writer, time: Duration) -> Result<bool, Error> {
        Ok(self.slots().renew(&key.name, lease, time, self.clock.monotonic()))
    }

    async fn release(&self, key: &EntryKey, lease: Writer, throttle: Duration) -> Result<(), Error> {
        let mut slots = self.slots();
        if slots.release(&key.name, lease, throttle, self.clock.monotonic()) {
            let (namespace, key) = (key.namespace.clone(), Arc::clone(&key.key));
            self.tell(CacheSignal::Released { namespace, key });
        }
        Ok(())
    }

    async fn tag_versions(&self, tags: &[Tag]) -> Result<Vec<u64>, Error> {
        let mut slots = self.slots();
        Ok(tags.iter().map(|tag| slots.tag(tag)).collect())
    }

    async fn invalidate_tag(&self, tag: &Tag) -> Result<u64, Error> {
        let mut slots = self.slots();
        let version = slots.renew_tag(tag);
        self.tell(CacheSignal::Tag { tag: tag.clone(), version });
        Ok(version)
    }

    async fn mark(&self, mark: u64) -> Result<(), Error> {
        let _order = self.slots();
        self.tell(CacheSignal::Mark(mark));
        Ok(())
    }

    fn listen(&self) -> CacheFeed {
        CacheFeed::of(&self.feeds, None)
    }

    /// Every entry of this store has a TTL: the sweep only counts.
    async fn sweep(&self, _cursor: SweepCursor, _limit: usize, _ttl: Duration) -> Result<SweepPage, Error> {
        let seen = self.slots().sizes(self.clock.monotonic());
        Ok(SweepPage { seen, ..SweepPage::default() })
    }
}
