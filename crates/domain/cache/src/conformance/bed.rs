//! What the laws stand on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    CacheFeed, CacheSignal, CacheStore, Claim, Condition, EntryKey, Error, Found, KeyLayout, Lookup, NamespaceName,
    NewEntry, Stamp, Writer, Written,
};

/// How long a store may take to tell or to forget something.
pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const ONE: Writer = Writer(1);
pub(super) const TWO: Writer = Writer(2);

/// A store under test, and a namespace that nothing else uses.
#[derive(Debug)]
pub struct Bed {
    /// The store.
    pub store: Arc<dyn CacheStore>,
    /// The namespace.
    pub namespace: NamespaceName,
}

// === impl Bed ===

impl Bed {
    pub(super) fn key(&self, key: &str) -> Result<EntryKey, Error> {
        Ok(EntryKey::new(&self.namespace, &KeyLayout::of(&self.namespace), key)?)
    }

    pub(super) async fn put(&self, key: &str, value: &str, when: Condition) -> Result<Written, Error> {
        self.store.put(&self.key(key)?, &entry(value), when, Writer::random()).await
    }

    /// Puts in any case, and gives the version.
    pub(super) async fn version_of_put(&self, key: &str, value: &str) -> Result<u64, Error> {
        Ok(done(&self.put(key, value, Condition::Always).await?))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<Written, Error> {
        self.store.delete(&self.key(key)?, Condition::Always, Writer::random()).await
    }

    pub(super) async fn value(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.store.get(&self.key(key)?).await?.and_then(|entry| entry.value))
    }

    pub(super) async fn lookup(&self, key: &str, writer: Writer) -> Result<Found, Error> {
        let lookup = Lookup { writer, lease: MINUTE, stamp: None, after: 0 };
        self.store.lookup(&self.key(key)?, &lookup).await
    }

    pub(super) async fn claim(&self, key: &str, writer: Writer) -> Result<Claim, Error> {
        Ok(self.lookup(key, writer).await?.claim)
    }

    pub(super) async fn fill(&self, key: &str, value: &str, writer: Writer) -> Result<Written, Error> {
        self.store.put(&self.key(key)?, &entry(value), Condition::Leased, writer).await
    }
}

pub(super) fn entry(value: &str) -> NewEntry {
    NewEntry {
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        content_type: None,
        ttl: MINUTE,
        stale_for: Duration::ZERO,
        stamp: Stamp::default(),
    }
}

/// The version of a change that happened.
pub(super) fn done(written: &Written) -> u64 {
    assert!(matches!(written, Written::Done { .. }), "{written:?}");
    match written {
        Written::Done { version, .. } | Written::Refused { version, .. } => *version,
    }
}

pub(super) fn is_refused(written: &Written, version: u64) -> bool {
    matches!(written, Written::Refused { version: there, .. } if *there == version)
}

/// Asks until it holds.
pub(super) async fn soon(what: &str, mut holds: impl AsyncFnMut() -> Result<bool, Error>) -> Result<(), Error> {
    let start = Instant::now();
    while !holds().await? {
        assert!(start.elapsed() < SOON, "{what}: not within {SOON:?}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

pub(super) async fn next(feed: &mut CacheFeed) -> CacheSignal {
    let told = timeout(SOON, feed.next()).await;
    assert!(told.is_ok(), "nothing was told within {SOON:?}");
    told.unwrap_or(CacheSignal::Lost)
}

/// A feed that hears everything from now on.
pub(super) async fn listening(bed: &Bed) -> Result<CacheFeed, Error> {
    let mut feed = bed.store.listen();
    let mark = rand::random::<u64>() >> 12;
    let start = Instant::now();
    loop {
        bed.store.mark(mark).await?;
        if let Ok(CacheSignal::Mark(heard)) = timeout(Duration::from_millis(100), feed.next()).await
            && heard == mark
        {
            return Ok(feed);
        }
        assert!(start.elapsed() < SOON, "no mark came back");
    }
}
