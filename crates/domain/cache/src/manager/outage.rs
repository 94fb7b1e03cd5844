//! Changes that could not be written because the store was away, and what becomes of them when it is back.
//!
//! The last change of a key wins, and is written only if nothing has changed since the version that this process knew: then
//! it is the newest. Otherwise nobody can tell which one is, and the entry is deleted: a miss is never wrong.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{EntryKey, NamespaceName, NewEntry, Stamp, Tag, Writer};

/// Bytes of values that are remembered.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Outage {
    limit: usize,
    /// True while anything is remembered, so that the usual read costs one load.
    is_any: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    changes: HashMap<EntryKey, Change>,
    bytes: usize,
    /// Tags that were invalidated, with the version that this process gave them for the time being.
    tags: HashMap<Tag, u64>,
    /// Namespaces with more changes than there was room for: all of it must go.
    overflown: HashSet<NamespaceName>,
}

/// The last change of a key.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The entry without its stamp, and the tags; `None` for a deletion.
    pub(crate) entry: Option<(NewEntry, Vec<Tag>)>,
    /// The version that was known before; 0 when none was.
    pub(crate) base: u64,
    pub(crate) writer: Writer,
    pub(crate) at: Instant,
}

/// Everything that was remembered.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) changes: Vec<(EntryKey, Change)>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) overflown: Vec<NamespaceName>,
}

// === impl Outage ===

impl Outage {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, is_any: AtomicBool::new(false), inner: Mutex::default() }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    pub(crate) fn len(&self) -> usize {
        self.inner().changes.len()
    }

    /// The last change of a key.
    pub(crate) fn get(&self, key: &EntryKey) -> Option<Change> {
        if !self.is_any() {
            return None;
        }
        self.inner().changes.get(key).cloned()
    }

    /// Remembers a change; the one before is forgotten, except what it was based on. False when there is no room: then the
    /// whole namespace is invalidated later.
    pub(crate) fn remember(&self, key: &EntryKey, mut change: Change) -> bool {
        let mut inner = self.inner();
        self.is_any.store(true, Ordering::Release);
        if let Some(before) = inner.forget(key) {
            change.base = before.base;
        }
        let bytes = change.bytes();
        if inner.changes.len() >= self.limit || inner.bytes + bytes > MAX_BYTES {
            inner.overflown.insert(key.namespace.clone());
            return false;
        }
        inner.bytes += bytes;
        inner.changes.insert(key.clone(), change);
        true
    }

    /// Whether a tag of this stamp was invalidated since the stamp was made, and the store does not know of it.
    pub(crate) fn is_invalidated(&self, stamp: &Stamp) -> bool {
        if !self.is_any() {
            return false;
        }
        let inner = self.inner();
        stamp.tags().iter().any(|(tag, version)| inner.tags.get(tag).is_some_and(|pending| pending != version))
    }

    /// Whether what the store has of this namespace may be older than changes that were not even remembered.
    pub(crate) fn is_overflown(&self, namespace: &NamespaceName) -> bool {
        self.is_any() && self.inner().overflown.contains(namespace)
    }

    /// A newer change of the key has been written.
    pub(crate) fn forget(&self, key: &EntryKey) {
        if self.is_any() {
            let mut inner = self.inner();
            inner.forget(key);
            self.note(&inner);
        }
    }

    /// Remembers that a tag was invalidated: what was remembered with that tag goes with it.
    pub(crate) fn remember_tag(&self, tag: &Tag, version: u64) {
        let mut inner = self.inner();
        self.is_any.store(true, Ordering::Release);
        inner.tags.insert(tag.clone(), version);
        for (key, change) in &mut inner.changes {
            let bears = change.entry.as_ref().is_some_and(|(_, tags)| tags.contains(tag));
            if bears || Tag::of_namespace(&key.namespace) == *tag {
                change.entry = None;
            }
        }
        inner.bytes = inner.changes.values().map(Change::bytes).sum();
    }

    /// Everything that is remembered, to be written. It stays, so that reads see it, until it is said to be done.
    pub(crate) fn all(&self) -> Remembered {
        let inner = self.inner();
        Remembered {
            changes: inner.changes.iter().map(|(key, change)| (key.clone(), change.clone())).collect(),
            tags: inner.tags.keys().cloned().collect(),
            overflown: inner.overflown.iter().cloned().collect(),
        }
    }

    /// This change is written, if it still is the last one.
    pub(crate) fn written(&self, key: &EntryKey, writer: Writer) {
        let mut inner = self.inner();
        if inner.changes.get(key).is_some_and(|change| change.writer == writer) {
            inner.forget(key);
        }
        self.note(&inner);
    }

    pub(crate) fn tag_written(&self, tag: &Tag) {
        let mut inner = self.inner();
        inner.tags.remove(tag);
        self.note(&inner);
    }

    pub(crate) fn namespace_written(&self, namespace: &NamespaceName) {
        let mut inner = self.inner();
        inner.overflown.remove(namespace);
        self.note(&inner);
    }

    fn note(&self, inner: &Inner) {
        let is_any = !inner.changes.is_empty() || !inner.tags.is_empty() || !inner.overflown.is_empty();
        self.is_any.store(is_any, Ordering::Release);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    fn forget(&mut self, key: &EntryKey) -> Option<Change> {
        let change = self.changes.remove(key)?;
        self.bytes -= change.bytes();
        Some(change)
    }
}

// === impl Change ===

impl Change {
    fn bytes(&self) -> usize {
        self.entry.as_ref().and_then(|(entry, _)| entry.value.as_ref()).map_or(0, Bytes::len)
    }

    /// The entry with what is left of its time; `None` when it is a deletion, or its time is over.
    pub(crate) fn entry_left(&self) -> Option<(NewEntry, &[Tag])> {
        let (entry, tags) = self.entry.as_ref()?;
        let ttl = entry.ttl.checked_sub(self.at.elapsed()).filter(|left| !left.is_zero())?;
        Some((NewEntry { ttl, ..entry.clone() }, tags))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{KeyLayout, Stamp};

    fn key(name: &str) -> EntryKey {
        let namespace = "n".parse().unwrap();
        EntryKey::new(&namespace, &KeyLayout::of(&namespace), name).unwrap()
    }

    fn change(value: &'static str, base: u64, tags: &[&str]) -> Change {
        let value = Some(Bytes::from_static(value.as_bytes()));
        let ttl = Duration::from_secs(60);
        let entry = NewEntry { value, content_type: None, ttl, stale_for: Duration::ZERO, stamp: Stamp::default() };
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        Change { entry: Some((entry, tags)), base, writer: Writer::random(), at: Instant::now() }
    }

    #[tokio::test]
    async fn the_last_change_wins_and_stands_on_what_the_first_one_knew() {
        let outage = Outage::new(2);
        assert!(outage.get(&key("a")).is_none());
        assert!(outage.remember(&key("a"), change("1", 7, &[])) && outage.remember(&key("a"), change("2", 0, &[])));
        let last = outage.get(&key("a")).unwrap();
        assert_eq!((last.base, last.entry.unwrap().0.value.unwrap()), (7, Bytes::from_static(b"2")));
        assert!(outage.remember(&key("b"), change("1", 0, &[])));
        assert!(!outage.remember(&key("c"), change("1", 0, &[])), "more than there is room for");
        let all = outage.all();
        assert_eq!((all.changes.len(), all.overflown.len()), (2, 1));
        outage.remember(&key("a"), change("3", 9, &[]));
        for (key, change) in &all.changes {
            outage.written(key, change.writer);
        }
        outage.namespace_written(&all.overflown[0]);
        assert!(outage.is_any() && outage.get(&key("b")).is_none());
        assert_eq!(outage.get(&key("a")).unwrap().base, 7, "one that came meanwhile stays");
    }

    #[tokio::test]
    async fn a_change_with_a_tag_that_is_invalidated_later_becomes_a_deletion() {
        let outage = Outage::new(8);
        outage.remember(&key("a"), change("1", 0, &["t"]));
        outage.remember(&key("b"), change("1", 0, &["u"]));
        outage.remember_tag(&"t".parse().unwrap(), 5);
        let stamp = |version| Stamp::new(vec![("t".parse().unwrap(), version)]);
        assert!(outage.is_invalidated(&stamp(4)) && !outage.is_invalidated(&stamp(5)));
        assert!(outage.get(&key("a")).unwrap().entry.is_none());
        assert!(outage.get(&key("b")).unwrap().entry.is_some());
        outage.tag_written(&"t".parse().unwrap());
        outage.forget(&key("a"));
        outage.forget(&key("b"));
        assert!(!outage.is_any());
    }
}
