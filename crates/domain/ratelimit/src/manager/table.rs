//! What this process knows of counters without asking the store: who is denied until when, units it has taken in advance, and how much of
//! each counter is its own share.
//!
//! The table is bounded. What does not fit is forgotten, which costs a round trip, and while the store is away the knowledge of how
//! much had been taken: a flood of new subjects cannot fill the memory.

use std::{
    hash::{BuildHasher as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use super::local::Local;

/// Locks, so that processors rarely wait for each other.
const SHARDS: usize = 64;
/// Counters that are known at once, in each shard.
const MOST: usize = 1_024;

/// A counter, by the place of its limit in the settings and by its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id<'a> {
    /// The number of the limit among all limits of all policies.
    pub(super) limit: u32,
    pub(super) within: Option<&'a str>,
    pub(super) value: &'a str,
}

#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// What a lock is held for.
#[derive(Debug)]
pub(super) struct Shard {
    known: HashTable<Known>,
    /// What was decided here, by the number of the policy: under the lock it costs nothing to count.
    counts: Box<[AtHandCounts]>,
}

/// What was decided without a round trip.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AtHandCounts {
    /// Allowed from leases.
    pub(super) leased: u64,
    /// Denied because the store said so before.
    pub(super) remembered: u64,
}

#[derive(Debug)]
struct Known {
    limit: u32,
    within: Option<Arc<str>>,
    value: Arc<str>,
    local: Local,
}

// === impl Table ===

impl Table {
    /// A table of the counters of so many policies.
    pub(super) fn new(policies: usize) -> Self {
        let shard =
            |_| Mutex::new(Shard { known: HashTable::new(), counts: vec![AtHandCounts::default(); policies].into() });
        Self { hasher: RandomState::default(), shards: (0..SHARDS).map(shard).collect() }
    }

    fn hash(&self, id: Id<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(id.limit);
        hasher.write(id.value.as_bytes());
        if let Some(within) = id.within {
            hasher.write_u8(0xff);
            hasher.write(within.as_bytes());
        }
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The table inside uses the other end of the hash.
        let index = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is known of a counter; nothing when it is not.
    pub(super) fn with<T>(&self, id: Id<'_>, look: impl FnOnce(&mut Local) -> Option<T>) -> Option<T> {
        self.with_counts(id, |local, _| look(local))
    }

    /// The same, and counts what was decided, by the number of the policy.
    #[inline]
    pub(super) fn with_counts<T>(
        &self,
        id: Id<'_>,
        look: impl FnOnce(&mut Local, &mut [AtHandCounts]) -> Option<T>,
    ) -> Option<T> {
        let hash = self.hash(id);
        let mut shard = self.shard(hash);
        let Shard { known, counts } = &mut *shard;
        look(&mut known.find_mut(hash, |known| known.is(id))?.local, counts)
    }

    /// What was decided at hand of a policy.
    pub(super) fn counted(&self, policy: usize) -> AtHandCounts {
        let mut all = AtHandCounts::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = shard.counts.get(policy).copied().unwrap_or_default();
            all.leased += counts.leased;
            all.remembered += counts.remembered;
        }
        all
    }

    /// Changes what is known of a counter, which is known from then on.
    pub(super) fn update<T>(&self, id: Id<'_>, now: u64, change: impl FnOnce(&mut Local) -> T) -> T {
        let hash = self.hash(id);
        let mut shard = self.shard(hash);
        let shard = &mut shard.known;
        if shard.len() >= MOST && shard.find(hash, |known| known.is(id)).is_none() {
            shard.retain(|known| known.local.is_worth_keeping(now));
            // All of them are: then those go that happen to stand first.
            let mut goes = shard.len().saturating_sub(MOST * 3 / 4);
            shard.retain(|_| {
                let stays = goes == 0;
                goes = goes.saturating_sub(1);
                stays
            });
        }
        let hash_of = |known: &Known| self.hash(known.id());
        match shard.entry(hash, |known| known.is(id), hash_of) {
            Entry::Occupied(mut entry) => change(&mut entry.get_mut().local),
            Entry::Vacant(entry) => change(&mut entry.insert(Known::new(id)).into_mut().local),
        }
    }

    /// Denials may be over before their time: a limit was changed.
    pub(super) fn forget_denials(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.known.iter_mut().for_each(|known| known.local.denial = None);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).known.len()).sum()
    }
}

// === impl Known ===

impl Known {
    fn new(id: Id<'_>) -> Self {
        let Id { limit, within, value } = id;
        Self { limit, within: within.map(Into::into), value: value.into(), local: Local::default() }
    }

    fn id(&self) -> Id<'_> {
        Id { limit: self.limit, within: self.within.as_deref(), value: &self.value }
    }

    fn is(&self, id: Id<'_>) -> bool {
        self.id() == id
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Quota;

    #[test]
    fn a_flood_of_subjects_does_not_fill_the_memory() {
        let table = Table::new(1);
        let quota = Quota::new(2, Duration::from_secs(60));
        for number in 0..200_000 {
            let value = format!("user-{number}");
            table.update(Id { limit: 0, within: None, value: &value }, 0, |local| local.answered(&quota, 0, 1, 1));
        }
        assert!(table.len() <= SHARDS * MOST && table.len() > SHARDS * MOST / 2, "{}", table.len());
    }

    #[test]
    fn counters_are_told_apart_by_every_part() {
        let table = Table::new(1);
        let ids = [
            Id { limit: 0, within: None, value: "a" },
            Id { limit: 1, within: None, value: "a" },
            Id { limit: 0, within: Some("a"), value: "a" },
            Id { limit: 0, within: None, value: "b" },
        ];
        for id in ids {
            assert!(table.with(id, |_| Some(())).is_none());
            table.update(id, 0, |_| ());
            assert!(table.with(id, |_| Some(())).is_some());
        }
    }
}
