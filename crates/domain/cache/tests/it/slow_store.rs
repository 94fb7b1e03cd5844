//! A store whose answers can be held back after they were made.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use trackside_cache::{
    CacheFeed, CacheStore, Condition, EntryKey, Error, Found, Lookup, NewEntry, StoredEntry, SweepCursor, SweepPage,
    Tag, Writer, Written,
};

#[derive(Debug)]
pub(crate) struct SlowStore {
    pub(crate) store: Arc<dyn CacheStore>,
    holding: watch::Sender<bool>,
    held: Semaphore,
}

// === impl SlowStore ===

impl SlowStore {
    pub(crate) fn over(store: Arc<dyn CacheStore>) -> Self {
        Self { store, holding: watch::Sender::new(false), held: Semaphore::new(0) }
    }

    /// From now on no read is answered.
    pub(crate) fn hold(&self) {
        self.holding.send_replace(true);
    }

    /// Waits until an answer is made and held back.
    pub(crate) async fn held(&self) {
        self.held.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_go(&self) {
        self.holding.send_replace(false);
    }

    async fn answer<T>(&self, answer: T) -> T {
        if *self.holding.borrow() {
            self.held.add_permits(1);
            self.holding.subscribe().wait_for(|holding| !holding).await.unwrap();
        }
        answer
    }
}

#[async_trait]
impl CacheStore for SlowStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<StoredEntry>, Error> {
        let answer = self.store.get(key).await;
        self.answer(answer).await
    }

    async fn lookup(&self, key: &EntryKey, lookup: &Lookup) -> Result<Found, Error> {
        let answer = self.store.lookup(key, lookup).await;
        self.answer(answer).await
    }

    async fn put(&self, key: &EntryKey, entry: &NewEntry, when: Condition, writer: Writer) -> Result<Written, Error> {
        self.store.put(key, entry, when, writer).await
    }

    async fn delete(&self, key: &EntryKey, when: Condition, writer: Writer) -> Result<Written, Error> {
        self.store.delete(key, when, writer).await
    }

    async fn renew(&self, key: &EntryKey, lease: Writer, time: Duration) -> Result<bool, Error> {
        self.store.renew(key, lease, time).await
    }

    async fn release(&self, key: &EntryKey, lease: Writer, throttle: Duration) -> Result<(), Error> {
        self.store.release(key, lease, throttle).await
    }

    async fn tag_versions(&self, tags: &[Tag]) -> Result<Vec<u64>, Error> {
        self.store.tag_versions(tags).await
    }

    async fn invalidate_tag(&self, tag: &Tag) -> Result<u64, Error> {
        self.store.invalidate_tag(tag).await
    }

    async fn mark(&self, mark: u64) -> Result<(), Error> {
        self.store.mark(mark).await
    }

    fn listen(&self) -> CacheFeed {
        self.store.listen()
    }

    async fn sweep(&self, cursor: SweepCursor, limit: usize, ttl: Duration) -> Result<SweepPage, Error> {
        self.store.sweep(cursor, limit, ttl).await
    }
}
