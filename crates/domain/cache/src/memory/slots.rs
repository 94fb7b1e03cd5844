//! Entries, leases and tags as plain data; the caller holds the lock and brings the time.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{Claim, Condition, Found, Lookup, NewEntry, Stamp, StoredEntry, TOMBSTONE, Tag, Writer, Written};

/// Slots looked at for expiry on each put, so that forgetting costs no scan.
const SWEPT_PER_PUT: usize = 4;
/// Tags that are remembered. One that is forgotten gets a new version: what bears it is loaded again.
const MAX_TAGS_KEPT: usize = 100_000;
/// What a slot costs besides its name and value.
const SLOT_BYTES: usize = 160;

#[derive(Debug)]
pub(super) struct Slots {
    slots: HashMap<String, Slot>,
    /// Names in the order in which they are looked at for expiry, and make room.
    order: VecDeque<String>,
    tags: HashMap<Tag, u64>,
    last_version: u64,
    bytes: usize,
    max_bytes: usize,
}

/// One name. The times are those of the monotonic clock.
#[derive(Debug, Default)]
struct Slot {
    entry: Option<Kept>,
    version: u64,
    /// Who made the last change, and whether there was an entry before it.
    writer: Option<(Writer, bool)>,
    /// The version is remembered until then, with or without an entry.
    known_until: Duration,
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Kept {
    entry: NewEntry,
    fresh_until: Duration,
    kept_until: Duration,
}

#[derive(Debug)]
struct Lease {
    /// `None` while nobody may have it.
    holder: Option<Writer>,
    until: Duration,
}

// === impl Slots ===

impl Slots {
    /// Versions begin above `first`.
    pub(super) fn new(max_bytes: usize, first: u64) -> Self {
        let (slots, order, tags) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { slots, order, tags, last_version: first, bytes: 0, max_bytes }
    }

    pub(super) fn get(&self, name: &str, now: Duration) -> Option<StoredEntry> {
        self.slots.get(name)?.stored(now)
    }

    pub(super) fn lookup(&mut self, name: &str, lookup: &Lookup, now: Duration) -> Found {
        let entry = self.get(name, now);
        let counts = entry.as_ref().is_some_and(|entry| {
            entry.version > lookup.after && lookup.stamp.as_ref().is_none_or(|stamp| *stamp == entry.stamp)
        });
        if counts && entry.as_ref().is_some_and(StoredEntry::is_fresh) {
            return Found { entry, claim: Claim::Fresh };
        }
        let slot = self.slot(name);
        if let Some(lease) = slot.lease.as_ref().filter(|lease| lease.until > now)
            && lease.holder != Some(lookup.writer)
            && (lease.holder.is_some() || counts)
        {
            return Found { entry, claim: Claim::Busy(lease.until - now) };
        }
        let until = now + lookup.lease;
        slot.lease = Some(Lease { holder: Some(lookup.writer), until });
        Found { entry, claim: Claim::Granted }
    }

    pub(super) fn put(
        &mut self,
        name: &str,
        entry: &NewEntry,
        when: Condition,
        writer: Writer,
        now: Duration,
    ) -> Written {
        self.sweep(now);
        let slot = self.slot(name);
        slot.forget(now);
        let current = slot.stored(now);
        if slot.writer.is_some_and(|(last, _)| last == writer) && current.is_some() {
            return Written::Done { version: slot.version, existed: false };
        }
        let holds = match when {
            Condition::Always => true,
            Condition::Absent => current.as_ref().is_none_or(|current| !current.is_fresh()),
            Condition::Version(version) => current.as_ref().is_some_and(|current| current.version == version),
            Condition::AtMost(version) => slot.version <= version,
            Condition::Leased => slot.lease.as_ref().is_some_and(|lease| lease.is_of(writer, now)),
        };
        if !holds {
            return slot.refusal(current);
        }
        let version = self.next_version();
        let existed = current.is_some();
        let kept_until = now + entry.ttl + entry.stale_for;
        let kept = Kept { entry: entry.clone(), fresh_until: now + entry.ttl, kept_until };
        let slot = self.slot(name);
        let (before, after) = (slot.bytes(), entry.value.as_ref().map_or(0, bytes::Bytes::len));
        *slot =
            Slot { entry: Some(kept), version, writer: Some((writer, existed)), known_until: kept_until, lease: None };
        self.bytes = self.bytes + after - before;
        self.make_room(name);
        Written::Done { version, existed }
    }

    pub(super) fn delete(&mut self, name: &str, when: Condition, writer: Writer, now: Duration) -> Written {
        let slot = self.slot(name);
        slot.forget(now);
        let current = slot.stored(now);
        if let Some((last, existed)) = slot.writer
            && last == writer
            && current.is_none()
        {
            return Written::Done { version: slot.version, existed };
        }
        if let Condition::Version(version) = when
            && current.as_ref().is_none_or(|current| current.version != version)
        {
            return slot.refusal(current);
        }
        let version = self.next_version();
        let existed = current.is_some();
        let slot = self.slot(name);
        let freed = slot.bytes();
        let known_until = now + TOMBSTONE;
        *slot = Slot { entry: None, version, writer: Some((writer, existed)), known_until, lease: None };
        self.bytes -= freed;
        Written::Done { version, existed }
    }

    /// True when the writer has the lease.
    pub(super) fn renew(&mut self, name: &str, lease: Writer, time: Duration, now: Duration) -> bool {
        let held = self.slots.get_mut(name).and_then(|slot| slot.lease.as_mut());
        let Some(held) = held.filter(|held| held.is_of(lease, now)) else { return false };
        held.until = now + time;
        true
    }

    /// True when the writer had the lease.
    pub(super) fn release(&mut self, name: &str, lease: Writer, throttle: Duration, now: Duration) -> bool {
        let Some(slot) = self.slots.get_mut(name) else { return false };
        if !slot.lease.as_ref().is_some_and(|held| held.is_of(lease, now)) {
            return false;
        }
        slot.lease = (!throttle.is_zero()).then(|| Lease { holder: None, until: now + throttle });
        true
    }

    pub(super) fn tag(&mut self, tag: &Tag) -> u64 {
        match self.tags.get(tag) {
            Some(version) => *version,
            None => self.renew_tag(tag),
        }
    }

    pub(super) fn renew_tag(&mut self, tag: &Tag) -> u64 {
        let version = self.next_version();
        if self.tags.len() >= MAX_TAGS_KEPT {
            self.tags.clear();
        }
        self.tags.insert(tag.clone(), version);
        version
    }

    /// The names of all entries and the bytes of their values.
    pub(super) fn sizes(&self, now: Duration) -> Vec<(String, u64)> {
        let alive = self.slots.iter().filter(|(_, slot)| slot.stored(now).is_some());
        alive.map(|(name, slot)| (name.clone(), slot.bytes() as u64)).collect()
    }

    fn slot(&mut self, name: &str) -> &mut Slot {
        if !self.slots.contains_key(name) {
            self.order.push_back(name.to_owned());
            self.bytes += name.len() + SLOT_BYTES;
        }
        self.slots.entry(name.to_owned()).or_default()
    }

    fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }

    fn sweep(&mut self, now: Duration) {
        for _ in 0..SWEPT_PER_PUT.min(self.order.len()) {
            let Some(name) = self.order.pop_front() else { return };
            match self.slots.get(&name) {
                Some(slot) if slot.is_alive(now) => self.order.push_back(name),
                _ => self.remove(&name),
            }
        }
    }

    /// Removes the oldest names until the rest fits; the one just written stays.
    fn make_room(&mut self, newest: &str) {
        while self.bytes > self.max_bytes && self.order.len() > 1 {
            let Some(name) = self.order.pop_front() else { return };
            if name == newest {
                self.order.push_back(name);
            } else {
                self.remove(&name);
            }
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(slot) = self.slots.remove(name) {
            self.bytes -= slot.bytes() + name.len() + SLOT_BYTES;
        }
    }
}

// === impl Lease ===

impl Lease {
    fn is_of(&self, writer: Writer, now: Duration) -> bool {
        self.until > now && self.holder == Some(writer)
    }
}

// === impl Slot ===

impl Slot {
    fn stored(&self, now: Duration) -> Option<StoredEntry> {
        let kept = self.entry.as_ref().filter(|kept| kept.kept_until > now)?;
        Some(StoredEntry {
            value: kept.entry.value.clone(),
            content_type: kept.entry.content_type.clone(),
            version: self.version,
            fresh_for: kept.fresh_until.saturating_sub(now),
            kept_for: kept.kept_until - now,
            stamp: kept.entry.stamp.clone(),
        })
    }

    fn is_alive(&self, now: Duration) -> bool {
        self.known_until > now || self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }

    /// Drops the memory of changes whose time is over.
    fn forget(&mut self, now: Duration) {
        if self.known_until <= now {
            (self.version, self.writer) = (0, None);
        }
    }

    fn refusal(&self, current: Option<StoredEntry>) -> Written {
        Written::Refused { version: self.version, stamp: current.map_or_else(Stamp::default, |current| current.stamp) }
    }

    fn bytes(&self) -> usize {
        self.entry.as_ref().and_then(|kept| kept.entry.value.as_ref()).map_or(0, bytes::Bytes::len)
    }
}
