//! A namespace in the hands of a user, and what it takes and gives.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Inner, Invalidated, Space, local::Copy};
use crate::{Error, NamespaceName, Policy, Stamp, Tag};

/// Entries with one policy. Clones share it all.
///
/// # Outages
/// A read that the store cannot serve is answered with a copy in the process as far as the
/// [`Freshness`](crate::Freshness) of the namespace allows, and is an error otherwise. A plain write never fails because the
/// store is away: it is remembered, seen by this process at once, and written when the store is back. A conditional write
/// fails then: nobody could say whether its condition held.
#[derive(Clone)]
pub struct Namespace {
    pub(super) inner: Arc<Inner>,
    pub(super) space: Arc<Space>,
}

/// An entry that was found.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use trackside_cache::{CacheManager, Config, MemoryCacheStore, WriteOptions};
/// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
/// # let cache = CacheManager::new(Arc::new(store), Config::default());
/// # let pages = cache.namespace("page")?;
/// let page = pages.get_or_load("home", Default::default(), || async { Ok(Some("loaded".into())) }).await?;
/// assert_eq!((page.value().unwrap(), page.is_stale()), (&"loaded".into(), false));
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Cached {
    pub(crate) copy: Arc<Copy>,
    pub(super) is_stale: bool,
}

/// How to write an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteOptions {
    /// How long it is fresh; `None` is the namespace's.
    pub ttl: Option<Duration>,
    /// How long it may be served after that, no longer than the namespace allows; `None` is that long.
    pub stale_for: Option<Duration>,
    /// Tags by which it is invalidated together with others, at most [`MAX_TAGS`](crate::MAX_TAGS).
    pub tags: Vec<Tag>,
    /// What the bytes are.
    pub content_type: Option<Arc<str>>,
    /// What [`Namespace::stamp`] gave before the value was read from its source: an entry whose tags were invalidated since
    /// is never served. `None` says that the value is current now.
    pub stamp: Option<Stamp>,
}

/// How to load an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// How long it is fresh; `None` is the namespace's.
    pub ttl: Option<Duration>,
    /// Tags by which it is invalidated together with others; the same in every call for a key.
    pub tags: Vec<Tag>,
}

/// What a loader found, and for how long it is good.
///
/// ```
/// use std::time::Duration;
/// use trackside_cache::Loaded;
/// let found = Loaded { ttl: Some(Duration::from_secs(60)), ..Loaded::from(Some("12.50".into())) };
/// assert!(found.stale_for.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The value; `None` remembers that there is none.
    pub value: Option<Bytes>,
    /// How long it is fresh; `None` is as long as the [`LoadOptions`] say.
    pub ttl: Option<Duration>,
    /// How long it may be served after that, no longer than the namespace allows; `None` is that long.
    pub stale_for: Option<Duration>,
}

/// What became of a plain write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The store has it.
    Written {
        /// The version of the change.
        version: u64,
        /// Whether there was an entry before.
        existed: bool,
    },
    /// The store is away; it is written when it is back.
    Remembered,
}

// === impl Namespace ===

impl Namespace {
    pub(super) fn new(inner: Arc<Inner>, space: Arc<Space>) -> Self {
        Self { inner, space }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NamespaceName {
        &self.space.name
    }

    /// Its policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.space.policy
    }

    /// What happened in it since the process started.
    #[must_use]
    pub fn stats(&self) -> super::NamespaceStats {
        self.inner.stats(&self.space)
    }

    /// Invalidates every entry that bears this tag; see [`CacheManager::invalidate_tag`](crate::CacheManager::invalidate_tag).
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn invalidate_tag(&self, tag: &Tag) -> Result<Invalidated, Error> {
        self.inner.invalidate(tag).await
    }

    /// The versions of tags as they are now, to be given back with a value that is read from its source after this.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn stamp(&self, tags: &[Tag]) -> Result<Stamp, Error> {
        Ok(self.inner.stamp(&self.space, tags, Duration::ZERO).await?.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.space.name).finish_non_exhaustive()
    }
}

// === impl Loaded ===

impl From<Option<Bytes>> for Loaded {
    fn from(value: Option<Bytes>) -> Self {
        Self { value, ..Self::default() }
    }
}

// === impl Cached ===

impl Cached {
    /// The value; `None` when it is known that there is none.
    #[must_use]
    pub fn value(&self) -> Option<&Bytes> {
        self.copy.value.as_ref()
    }

    /// The value, for keeping.
    #[must_use]
    pub fn into_value(self) -> Option<Bytes> {
        self.copy.value.clone()
    }

    /// What the bytes are, where the writer said so.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.copy.content_type.as_deref()
    }

    /// The version, for [`compare_and_set`](Namespace::compare_and_set); 0 when the store gave it none.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.copy.version
    }

    /// True when it is served although its time is over, or although it may be further behind than usual.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("copy", &self.copy).field("is_stale", &self.is_stale).finish()
    }
}
