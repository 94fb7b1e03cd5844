//! Versions of tags: from what is known where that is current enough, else from the store.

use std::time::Duration;

use futures::future::try_join;

use super::{CacheManager, Inner, Space, local::Nanos};
use crate::{Error, MAX_TAGS, Stamp, StoredEntry, Tag};

/// How far the invalidation of a tag has come.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use trackside_cache::{CacheManager, Config, Invalidated, MemoryCacheStore};
/// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
/// # let cache = CacheManager::new(Arc::new(store), Config::default());
/// assert_eq!(cache.invalidate_tag(&"shop:7".parse()?).await?, Invalidated::Everywhere);
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidated {
    /// The store has it: no process serves those entries any more.
    Everywhere,
    /// The store is away: this process does not serve them any more, the others will not when the store is back.
    Remembered,
}

// === impl CacheManager ===

impl CacheManager {
    /// Invalidates every entry that bears this tag, in all namespaces and processes, in O(1). While the store is away it is
    /// remembered, and this process does not serve them any more.
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn invalidate_tag(&self, tag: &Tag) -> Result<Invalidated, Error> {
        self.inner.invalidate(tag).await
    }
}

// === impl Inner ===

impl Inner {
    pub(super) async fn invalidate(&self, tag: &Tag) -> Result<Invalidated, Error> {
        match self.store.invalidate_tag(tag).await {
            Ok(version) => {
                self.coherence.tag_heard(tag, version);
                Ok(Invalidated::Everywhere)
            }
            Err(error) if error.is_of_the_store() => {
                let version = self.coherence.provisional_tag(tag, true);
                self.outage.remember_tag(tag, version);
                Ok(Invalidated::Remembered)
            }
            Err(error) => Err(error),
        }
    }

    /// The versions of these tags and the namespace's, no older than `behind`, and until when they are known to be current.
    pub(super) async fn stamp(&self, space: &Space, tags: &[Tag], behind: Duration) -> Result<(Stamp, Nanos), Error> {
        if tags.len() > MAX_TAGS {
            let reason = format!("{} tags, {MAX_TAGS} at most", tags.len());
            return Err(Error::InvalidInput { field: "tags", reason });
        }
        let wanted = || std::iter::once(&space.tag).chain(tags);
        let (versions, until) = self.tag_versions(wanted(), behind).await?;
        Ok((Stamp::new(wanted().cloned().zip(versions).collect()), until))
    }

    /// The same without asking; `None` when something would have to be asked for.
    pub(super) fn known_stamp(&self, space: &Space, tags: &[Tag], behind: Duration) -> Option<Stamp> {
        let wanted = std::iter::once(&space.tag).chain(tags);
        let known = wanted.map(|tag| Some((tag.clone(), self.coherence.tag(tag, behind)?.0)));
        known.collect::<Option<Vec<_>>>().map(Stamp::new)
    }

    /// Versions for a write that the store is not there for: the true ones are found when it is written.
    pub(super) fn provisional_stamp(&self, space: &Space, tags: &[Tag]) -> Stamp {
        let version = |tag: &Tag| (tag.clone(), self.coherence.provisional_tag(tag, false));
        Stamp::new(std::iter::once(&space.tag).chain(tags).map(version).collect())
    }

    /// Reads an entry by `read`, together with the version of its namespace's tag where that must be asked for. Tells whether
    /// the entry is valid, and until when that is known.
    pub(super) async fn with_tags<T>(
        &self,
        space: &Space,
        behind: Duration,
        read: impl Future<Output = Result<T, Error>>,
        entry: impl Fn(&T) -> Option<&StoredEntry>,
    ) -> Result<(T, bool, Nanos), Error> {
        let namespace = std::iter::once(&space.tag);
        let (read, (_, mut until)) = try_join(read, self.tag_versions(namespace, behind)).await?;
        let mut is_valid = true;
        if let Some(entry) = entry(&read) {
            let others = || entry.stamp.tags().iter().map(|(tag, _)| tag).filter(|tag| **tag != space.tag);
            let (_, others_until) = self.tag_versions(others(), behind).await?;
            until = until.min(others_until);
            is_valid = self.is_valid(&entry.stamp) && !self.outage.is_overflown(&space.name);
        }
        Ok((read, is_valid, until))
    }

    /// Whether no tag of a stamp has changed since it was made, as far as this process knows.
    pub(super) fn is_valid(&self, stamp: &Stamp) -> bool {
        self.coherence.is_valid(stamp) && !self.outage.is_invalidated(stamp)
    }

    async fn tag_versions<'t>(
        &self,
        tags: impl Iterator<Item = &'t Tag>,
        behind: Duration,
    ) -> Result<(Vec<u64>, Nanos), Error> {
        let mut versions: Vec<u64> = Vec::new();
        let (mut missing, mut until) = (Vec::new(), Nanos::MAX);
        for (index, tag) in tags.enumerate() {
            let known = self.coherence.tag(tag, behind);
            versions.push(known.map_or(0, |(version, _)| version));
            match known {
                Some((_, current_until)) => until = until.min(current_until),
                None => missing.push((index, tag.clone(), self.coherence.tag_ticket(tag))),
            }
        }
        if missing.is_empty() {
            return Ok((versions, until));
        }
        let asked: Vec<Tag> = missing.iter().map(|(_, tag, _)| tag.clone()).collect();
        let answered = self.store.tag_versions(&asked).await?;
        for ((index, tag, ticket), version) in missing.into_iter().zip(answered) {
            self.coherence.tag_read(&tag, version, ticket);
            until = until.min(ticket.at);
            if let Some(slot) = versions.get_mut(index) {
                *slot = version;
            }
        }
        Ok((versions, until))
    }
}
