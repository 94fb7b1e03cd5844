//! What this process knows of changes elsewhere, and how sure it is of that.
//!
//! A copy was what the store had when it was read. It still is as long as every change is heard, and that is known up to the
//! last **mark**: a message of this process that came back after everything that was said before it. After a gap nothing that
//! was heard before counts: the **epoch** ends, and every copy of it is read again. No clock is compared with another.
//!
//! A read and a message about what it read may cross: a **ticket** is taken before the store is asked, and a copy is kept only
//! if nothing was heard of its key since.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::local::{Copy, Nanos, Time, nanos};
use crate::{EntryKey, NamespaceName, Stamp, Tag};

/// Counters for crossing messages; keys share them.
const GUARDS: usize = 1_024;
/// Tags whose versions are remembered.
const MAX_TAGS_KNOWN: usize = 100_000;
/// Marks that may be under way.
const MAX_MARKS: usize = 64;
/// Epochs whose end is remembered.
const MAX_EPOCHS: usize = 64;

/// The namespace and key of an entry.
type Place = (NamespaceName, Arc<str>);

#[derive(Debug)]
pub(crate) struct Coherence {
    pub(crate) time: Time,
    epoch: AtomicU64,
    /// Everything that was said until then has been heard.
    heard_until: AtomicU64,
    /// How often a tag has changed.
    tag_changes: AtomicU64,
    guards: Box<[Guard]>,
    hasher: RandomState,
    tags: Mutex<HashMap<Tag, KnownTag>>,
    marks: Mutex<VecDeque<(u64, Nanos)>>,
    /// Until when everything had been heard when an epoch ended.
    ended: Mutex<VecDeque<(u64, Nanos)>>,
    waiting: Mutex<HashMap<Place, Arc<Notify>>>,
}

/// What was heard of the keys that share it.
#[derive(Debug, Default)]
struct Guard {
    count: AtomicU64,
    last_version: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct KnownTag {
    version: u64,
    epoch: u64,
    current_at: Nanos,
}

/// Taken before the store is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) at: Nanos,
    pub(crate) epoch: u64,
    guard: usize,
    count: u64,
}

/// Somebody who waits for a message about a key.
#[derive(Debug)]
pub(crate) struct Waiting<'c> {
    coherence: &'c Coherence,
    place: Place,
    notify: Arc<Notify>,
}

// === impl Coherence ===

impl Coherence {
    pub(crate) fn new() -> Self {
        Self {
            time: Time::start(),
            epoch: AtomicU64::new(1),
            heard_until: AtomicU64::new(0),
            tag_changes: AtomicU64::new(1),
            guards: (0..GUARDS).map(|_| Guard::default()).collect(),
            hasher: RandomState::new(),
            tags: Mutex::default(),
            marks: Mutex::default(),
            ended: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    // --- how sure ---

    /// Until when a copy is known to be what the store has; `None` when it must be read again first.
    pub(crate) fn current_until(&self, copy: &Copy) -> Option<Nanos> {
        let is_of_now = copy.epoch == self.epoch.load(Ordering::Acquire);
        // Of changes by other programs, and of what the store does not have, nobody tells.
        let is_told = copy.version > 0;
        let heard_until = || self.heard_until.load(Ordering::Acquire);
        is_of_now.then(|| if is_told { copy.current_at.max(heard_until()) } else { copy.current_at })
    }

    /// The same for a copy of any epoch, for when the store cannot be asked.
    pub(crate) fn was_current_until(&self, copy: &Copy) -> Nanos {
        self.current_until(copy).unwrap_or_else(|| {
            let ended = lock(&self.ended);
            let end = ended.iter().find(|(epoch, _)| *epoch == copy.epoch && copy.version > 0);
            copy.current_at.max(end.map_or(0, |(_, until)| *until))
        })
    }

    /// True while marks come back, so that whoever waits for a message need not look by himself.
    pub(crate) fn is_hearing(&self, within: Duration) -> bool {
        let until = self.heard_until.load(Ordering::Acquire);
        until > 0 && self.time.now().saturating_sub(until) <= nanos(within)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Notes a mark that is about to be sent, and gives it a number.
    pub(crate) fn new_mark(&self) -> u64 {
        // Numbers that Redis' scripting and every JSON reader can hold.
        let mark = rand::random::<u64>() >> 12;
        let mut marks = lock(&self.marks);
        if marks.len() >= MAX_MARKS {
            marks.pop_front();
        }
        marks.push_back((mark, self.time.now()));
        mark
    }

    /// A mark came back: everything that was said before it was sent has been heard.
    pub(crate) fn mark_heard(&self, mark: u64) {
        let mut marks = lock(&self.marks);
        let Some(index) = marks.iter().position(|(sent, _)| *sent == mark) else { return };
        if let Some((_, at)) = marks.drain(..=index).next_back() {
            self.heard_until.fetch_max(at, Ordering::AcqRel);
        }
    }

    /// Something may have been missed: every copy is read again before it is served.
    pub(crate) fn gap(&self) {
        let mut ended = lock(&self.ended);
        // Marks that were sent before the gap prove nothing about what comes after it.
        lock(&self.marks).clear();
        let until = self.heard_until.load(Ordering::Acquire);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel);
        if ended.len() >= MAX_EPOCHS {
            ended.pop_front();
        }
        ended.push_back((epoch, until));
        drop(ended);
        for notify in lock(&self.waiting).values() {
            notify.notify_waiters();
        }
    }

    // --- crossing messages ---

    pub(crate) fn ticket(&self, key: &EntryKey) -> Ticket {
        self.ticket_of(self.hasher.hash_one((&key.namespace, &key.key)))
    }

    fn ticket_of(&self, hash: u64) -> Ticket {
        let guard = usize::try_from(hash % GUARDS as u64).unwrap_or_default();
        let (at, epoch) = (self.time.now(), self.epoch.load(Ordering::Acquire));
        Ticket { at, epoch, guard, count: self.count(guard) }
    }

    /// False when something was heard of the key since the ticket was taken.
    pub(crate) fn holds(&self, ticket: Ticket) -> bool {
        self.count(ticket.guard) == ticket.count
    }

    /// A ticket for what was just written as `version`: good for the time from the ticket before the write on, when since
    /// then nothing was heard of the key but the write itself. From here on the write counts as heard.
    pub(crate) fn ticket_after_write(&self, ticket: Ticket, version: u64) -> Option<Ticket> {
        let guard = self.guards.get(ticket.guard)?;
        let count = guard.count.load(Ordering::SeqCst);
        let is_alone = count == ticket.count
            || (count == ticket.count + 1 && guard.last_version.load(Ordering::SeqCst) == version);
        let before = guard.count.fetch_add(1, Ordering::SeqCst);
        (is_alone && before == count).then_some(Ticket { count: count + 1, ..ticket })
    }

    fn count(&self, guard: usize) -> u64 {
        self.guards.get(guard).map_or(0, |guard| guard.count.load(Ordering::SeqCst))
    }

    /// Notes that a version of a key was heard of, before its copy is touched.
    pub(crate) fn heard_of(&self, namespace: &NamespaceName, key: &Arc<str>, version: u64) {
        self.heard(self.hasher.hash_one((namespace, key)), version);
    }

    fn heard(&self, hash: u64, version: u64) {
        let guard = usize::try_from(hash % GUARDS as u64).unwrap_or_default();
        if let Some(guard) = self.guards.get(guard) {
            guard.last_version.store(version, Ordering::SeqCst);
            guard.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Wakes who waits for a message about a key.
    pub(crate) fn wake(&self, namespace: &NamespaceName, key: &Arc<str>) {
        if let Some(notify) = lock(&self.waiting).get(&(namespace.clone(), Arc::clone(key))) {
            notify.notify_waiters();
        }
    }

    pub(crate) fn wait_for(&self, key: &EntryKey) -> Waiting<'_> {
        let place = (key.namespace.clone(), Arc::clone(&key.key));
        let notify = Arc::clone(lock(&self.waiting).entry(place.clone()).or_default());
        Waiting { coherence: self, place, notify }
    }

    // --- tags ---

    /// A ticket to ask for the version of a tag.
    pub(crate) fn tag_ticket(&self, tag: &Tag) -> Ticket {
        self.ticket_of(self.hasher.hash_one(tag))
    }

    /// The version of a tag, when it is known to be current up to `behind` ago; and until when it is.
    pub(crate) fn tag(&self, tag: &Tag, behind: Duration) -> Option<(u64, Nanos)> {
        let known = *lock(&self.tags).get(tag)?;
        if known.epoch != self.epoch() {
            return None;
        }
        let until = known.current_at.max(self.heard_until.load(Ordering::Acquire));
        (self.time.now().saturating_sub(until) < nanos(behind)).then_some((known.version, until))
    }

    /// What is known of a tag, however old.
    pub(crate) fn any_tag(&self, tag: &Tag) -> Option<u64> {
        lock(&self.tags).get(tag).map(|known| known.version)
    }

    /// Keeps what the store answered about a tag.
    pub(crate) fn tag_read(&self, tag: &Tag, version: u64, ticket: Ticket) {
        if self.holds(ticket) {
            self.set_tag(tag, version, ticket.epoch, ticket.at);
        }
    }

    /// Keeps what was said about a tag.
    pub(crate) fn tag_heard(&self, tag: &Tag, version: u64) {
        self.heard(self.hasher.hash_one(tag), version);
        self.set_tag(tag, version, self.epoch(), self.time.now());
    }

    /// A version for a tag that the store cannot be asked for: above all that is known, below all that the store gives.
    pub(crate) fn provisional_tag(&self, tag: &Tag, is_new: bool) -> u64 {
        let known = self.any_tag(tag);
        match known {
            Some(version) if !is_new => version,
            known => {
                let version = known.unwrap_or(0) + 1;
                self.tag_heard(tag, version);
                version
            }
        }
    }

    fn set_tag(&self, tag: &Tag, version: u64, epoch: u64, current_at: Nanos) {
        let mut tags = lock(&self.tags);
        if tags.len() >= MAX_TAGS_KNOWN && !tags.contains_key(tag) {
            // What was known of a tag that is forgotten here cannot be missed: the copies are all read again.
            tags.clear();
            self.gap();
        }
        let known = tags.entry(tag.clone()).or_insert(KnownTag { version: 0, epoch, current_at });
        if version >= known.version {
            let is_changed = version > known.version;
            *known = KnownTag { version, epoch, current_at };
            if is_changed {
                self.tag_changes.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// False when a tag has changed since the stamp was made, as far as it is known.
    pub(crate) fn is_valid(&self, stamp: &Stamp) -> bool {
        let tags = lock(&self.tags);
        stamp.tags().iter().all(|(tag, version)| tags.get(tag).is_none_or(|known| known.version <= *version))
    }

    /// The same for a copy, at the cost of one comparison while no tag changes.
    pub(crate) fn is_copy_valid(&self, copy: &Copy) -> bool {
        let changes = self.tag_changes.load(Ordering::Acquire);
        if copy.tags_seen.load(Ordering::Acquire) == changes {
            return true;
        }
        let is_valid = self.is_valid(&copy.stamp);
        if is_valid {
            copy.tags_seen.store(changes, Ordering::Release);
        }
        is_valid
    }
}

// === impl Waiting ===

impl Waiting<'_> {
    /// Hears every message from its making on; make it before the store is asked.
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.coherence.waiting);
        // The map's and ours: nobody else waits.
        if Arc::strong_count(&self.notify) <= 2 {
            waiting.remove(&self.place);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
