//! Reads: from the process, else from the store, else from whatever there still is.

use std::{sync::Arc, time::Instant};

use super::{
    Cached, Inner, Namespace, Space,
    coherence::Ticket,
    local::{Copy, Nanos, NewCopy, nanos},
};
use crate::{EntryKey, Error, Freshness, StoredEntry};

// === impl Namespace ===

impl Namespace {
    /// The entry, or `None`. A hit in the process takes no allocation and no round trip, any other read one round trip.
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the store cannot be read and there is no copy that may be served instead.
    pub async fn get(&self, key: &str) -> Result<Option<Cached>, Error> {
        match self.get_local(key) {
            Some(cached) => Ok(Some(cached)),
            // Boxed, so that a hit does not carry the size of a miss.
            None => Box::pin(self.get_from_store(key)).await,
        }
    }

    /// The entry, when there is a copy in the process that is current enough.
    #[must_use]
    pub fn get_local(&self, key: &str) -> Option<Cached> {
        let copy = self.inner.fresh_copy(&self.space, key, self.inner.coherence.time.now())?;
        self.space.stats.local_hits.add();
        Some(Cached { copy, is_stale: false })
    }

    async fn get_from_store(&self, key: &str) -> Result<Option<Cached>, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let key = space.key(key)?;
        if let Some(remembered) = inner.remembered(space, &key) {
            return Ok(remembered);
        }
        match Box::pin(inner.read_valid(space, &key)).await {
            Ok(Some(found)) => {
                let counter = if found.is_stale { &space.stats.misses } else { &space.stats.store_hits };
                counter.add();
                Ok(Some(found).filter(|found| !found.is_stale))
            }
            Ok(None) => {
                space.local.remove(&key.key);
                space.stats.misses.add();
                Ok(None)
            }
            Err(error) if error.is_of_the_store() => match inner.copy_in_failure(space, &key.key) {
                Some(cached) => {
                    space.stats.stale.add();
                    Ok(Some(cached))
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

// === impl Inner ===

impl Inner {
    /// What the store has of an entry, unless it was invalidated; kept in the process from now on.
    pub(super) async fn read_valid(&self, space: &Space, key: &EntryKey) -> Result<Option<Cached>, Error> {
        let ticket = self.coherence.ticket(key);
        let read = self.timed(space, self.store.get(key));
        let (found, is_valid, until) =
            self.with_tags(space, space.policy.freshness.behind(), read, Option::as_ref).await?;
        Ok(found.filter(|_| is_valid).map(|entry| {
            let is_stale = !entry.is_fresh();
            Cached { copy: self.keep(space, key, entry, ticket, until), is_stale }
        }))
    }

    /// A copy that may be served without asking.
    pub(super) fn fresh_copy(&self, space: &Space, key: &str, now: Nanos) -> Option<Arc<Copy>> {
        let copy = space.local.get(key)?;
        let current_until = self.coherence.current_until(&copy)?;
        let is_current = now.saturating_sub(current_until) < space.behind;
        let is_valid = || self.coherence.is_copy_valid(&copy) && !self.outage.is_invalidated(&copy.stamp);
        (is_current && now < copy.fresh_until && is_valid()).then_some(copy)
    }

    /// A copy that may be served when the store cannot be asked: current within the bound, or whatever is allowed beyond it.
    pub(super) fn copy_in_failure(&self, space: &Space, key: &str) -> Option<Cached> {
        let copy = space.local.get(key)?;
        let now = self.coherence.time.now();
        let behind = now.saturating_sub(self.coherence.was_current_until(&copy));
        let freshness = space.policy.freshness;
        let (by, in_failure) = (nanos(freshness.behind()), nanos(freshness.in_failure()));
        let is_usual = behind < by && now < copy.fresh_until;
        let is_allowed = behind < by.saturating_add(in_failure) && now < copy.fresh_until.saturating_add(in_failure);
        if freshness == Freshness::Strict || !self.is_valid(&copy.stamp) || !(is_usual || is_allowed) {
            return None;
        }
        Some(Cached { is_stale: !is_usual, copy })
    }

    /// A stale entry that may be served while it is loaded anew, or when that fails.
    pub(super) fn is_allowed_stale(&self, space: &Space, copy: &Copy) -> bool {
        let now = self.coherence.time.now();
        let in_failure = nanos(space.policy.freshness.in_failure());
        now < copy.stale_until.min(copy.fresh_until.saturating_add(in_failure)) && self.is_valid(&copy.stamp)
    }

    /// What this process has changed and not written yet: `Some(None)` when it was deleted.
    #[expect(clippy::option_option, reason = "nothing is remembered, or that there is nothing")]
    pub(super) fn remembered(&self, space: &Space, key: &EntryKey) -> Option<Option<Cached>> {
        let change = self.outage.get(key)?;
        let Some((entry, tags)) = change.entry_left() else {
            space.stats.misses.add();
            return Some(None);
        };
        let stamp = self.provisional_stamp(space, tags);
        let kept_for = entry.ttl + entry.stale_for;
        let ticket = self.coherence.ticket(key);
        let copy = Arc::new(Copy::new(NewCopy {
            value: entry.value,
            content_type: entry.content_type,
            version: change.base,
            stamp,
            epoch: ticket.epoch,
            current_at: ticket.at,
            fresh_for: entry.ttl,
            kept_for,
            eager: f64::INFINITY,
        }));
        space.stats.local_hits.add();
        Some(Some(Cached { copy, is_stale: false }))
    }

    /// A copy of what the store answered, kept in the process unless something was heard of it meanwhile.
    pub(super) fn keep(
        &self,
        space: &Space,
        key: &EntryKey,
        entry: StoredEntry,
        ticket: Ticket,
        until: Nanos,
    ) -> Arc<Copy> {
        let copy = Arc::new(Copy::new(NewCopy {
            value: entry.value,
            content_type: entry.content_type,
            version: entry.version,
            stamp: entry.stamp,
            epoch: ticket.epoch,
            current_at: ticket.at.min(until),
            fresh_for: entry.fresh_for,
            kept_for: entry.kept_for,
            eager: space.policy.eager_at,
        }));
        self.keep_copy(space, key, Arc::clone(&copy), ticket);
        copy
    }

    pub(super) fn keep_copy(&self, space: &Space, key: &EntryKey, copy: Arc<Copy>, ticket: Ticket) {
        if space.policy.freshness == Freshness::Strict || !self.coherence.holds(ticket) {
            return;
        }
        let version = copy.version;
        space.local.insert(&key.key, copy);
        // A message that came in between found nothing to remove.
        if !self.coherence.holds(ticket) {
            space.local.remove_up_to(&key.key, version);
        }
    }

    /// A call of the store, counted.
    pub(super) async fn timed<T>(
        &self,
        space: &Space,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let answer = call.await;
        space.stats.store_times.add(started.elapsed());
        if answer.is_err() {
            space.stats.errors.add();
        }
        answer
    }
}
