//! Writes: to the store and the process; while the store is away, to what is remembered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Inner, Namespace, Receipt, Space, WriteOptions,
    coherence::Ticket,
    local::{Copy, NewCopy},
    outage::Change,
};
use crate::{Condition, EntryKey, Error, Invalidated, NewEntry, Stamp, Tag, Writer, Written};

/// Tags of a write may be known from any time ago: with an older version the entry is a miss, and never wrong.
const ANY_TIME: Duration = Duration::MAX;

// === impl Namespace ===

impl Namespace {
    /// Puts an entry, whatever was there.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or when the store refuses; never because the store is away.
    pub async fn set(&self, key: &str, value: impl Into<Bytes>, options: WriteOptions) -> Result<Receipt, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let key = space.key(key)?;
        let mut entry = space.new_entry(Some(value.into()), &options)?;
        let writer = Writer::random();
        let written = async {
            entry.stamp = inner.stamp_of_write(space, &options).await?;
            let ticket = inner.coherence.ticket(&key);
            let put = inner.store.put(&key, &entry, Condition::Always, writer);
            let written = inner.timed(space, put).await?;
            Ok::<_, Error>((written, ticket))
        };
        match Box::pin(written).await {
            Ok((written, ticket)) => {
                inner.outage.forget(&key);
                space.stats.writes.add();
                Ok(inner.wrote(space, &key, Some(entry), &written, ticket))
            }
            Err(error) if error.is_of_the_store() => {
                entry.stamp = Stamp::default();
                inner.remember(space, &key, Some((entry, options.tags)), writer);
                Ok(Receipt::Remembered)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes an entry.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn delete(&self, key: &str) -> Result<Receipt, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let key = space.key(key)?;
        let writer = Writer::random();
        let ticket = inner.coherence.ticket(&key);
        match inner.timed(space, inner.store.delete(&key, Condition::Always, writer)).await {
            Ok(written) => {
                inner.outage.forget(&key);
                space.stats.writes.add();
                Ok(inner.wrote(space, &key, None, &written, ticket))
            }
            Err(error) if error.is_of_the_store() => {
                inner.remember(space, &key, None, writer);
                Ok(Receipt::Remembered)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts an entry if there is none that is fresh and valid.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or any failure of the store; after a timeout the outcome is unknown.
    pub async fn set_if_absent(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let value = value.into();
        let written = self.put_when(key, value.clone(), &options, Condition::Absent).await?;
        match &written {
            // It was invalidated by a tag: there is nothing that a reader would be given.
            Written::Refused { version, stamp } if !self.inner.is_valid(stamp) => {
                self.put_when(key, value, &options, Condition::Version(*version)).await
            }
            _ => Ok(written),
        }
    }

    /// Puts an entry if the one that is there has this version.
    ///
    /// # Errors
    /// As [`set_if_absent`](Self::set_if_absent).
    pub async fn compare_and_set(
        &self,
        key: &str,
        version: u64,
        value: impl Into<Bytes>,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.put_when(key, value.into(), &options, Condition::Version(version)).await
    }

    /// Removes an entry if it has this version.
    ///
    /// # Errors
    /// Any failure of the store; after a timeout the outcome is unknown.
    pub async fn compare_and_delete(&self, key: &str, version: u64) -> Result<Written, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let key = space.key(key)?;
        let ticket = inner.coherence.ticket(&key);
        let delete = inner.store.delete(&key, Condition::Version(version), Writer::random());
        let written = inner.timed(space, delete).await.inspect_err(|_| inner.doubt(space, &key))?;
        inner.wrote(space, &key, None, &written, ticket);
        Ok(written)
    }

    /// Invalidates every entry of the namespace, in all processes, in O(1).
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn clear(&self) -> Result<Invalidated, Error> {
        self.inner.invalidate(&self.space.tag).await
    }

    async fn put_when(
        &self,
        key: &str,
        value: Bytes,
        options: &WriteOptions,
        condition: Condition,
    ) -> Result<Written, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let key = space.key(key)?;
        let mut entry = space.new_entry(Some(value), options)?;
        entry.stamp = Box::pin(inner.stamp_of_write(space, options)).await?;
        let ticket = inner.coherence.ticket(&key);
        let put = inner.store.put(&key, &entry, condition, Writer::random());
        let written = inner.timed(space, put).await.inspect_err(|_| inner.doubt(space, &key))?;
        inner.wrote(space, &key, Some(entry), &written, ticket);
        Ok(written)
    }
}

// === impl Inner ===

impl Inner {
    async fn stamp_of_write(&self, space: &Space, options: &WriteOptions) -> Result<Stamp, Error> {
        match &options.stamp {
            Some(stamp) => Ok(stamp.clone()),
            None => Ok(self.stamp(space, &options.tags, ANY_TIME).await?.0),
        }
    }

    /// Keeps what was just written, and tells this process' own readers.
    pub(super) fn wrote(
        &self,
        space: &Space,
        key: &EntryKey,
        entry: Option<NewEntry>,
        written: &Written,
        ticket: Ticket,
    ) -> Receipt {
        let Written::Done { version, existed } = *written else {
            return Receipt::Written { version: 0, existed: true };
        };
        let ticket = self.coherence.ticket_after_write(ticket, version);
        space.local.remove_up_to(&key.key, version);
        if let (Some(entry), Some(ticket)) = (entry, ticket) {
            let copy = self.copy_of(space, entry, version, ticket);
            self.keep_copy(space, key, copy, ticket);
        }
        self.coherence.wake(&space.name, &key.key);
        Receipt::Written { version, existed }
    }

    /// An entry has changed: a copy of an earlier version goes.
    pub(super) fn changed(&self, space: &Space, key: &Arc<str>, version: u64) {
        self.coherence.heard_of(&space.name, key, version);
        space.local.remove_up_to(key, version.saturating_sub(1));
        self.coherence.wake(&space.name, key);
    }

    /// Whether a change happened is unknown: whatever is here must be read again.
    fn doubt(&self, space: &Space, key: &EntryKey) {
        self.changed(space, &key.key, u64::MAX);
    }

    pub(super) fn copy_of(&self, space: &Space, entry: NewEntry, version: u64, ticket: Ticket) -> Arc<Copy> {
        let kept_for = entry.ttl.saturating_add(entry.stale_for);
        Arc::new(Copy::new(NewCopy {
            value: entry.value,
            content_type: entry.content_type,
            version,
            stamp: entry.stamp,
            epoch: ticket.epoch,
            current_at: ticket.at,
            fresh_for: entry.ttl,
            kept_for,
            eager: space.policy.eager_at,
        }))
    }

    /// The store is away: the change is remembered, and this process sees it at once.
    fn remember(&self, space: &Space, key: &EntryKey, entry: Option<(NewEntry, Vec<Tag>)>, writer: Writer) {
        let base = space.local.get(&key.key).map_or(0, |copy| copy.version);
        let local = entry.clone();
        let change = Change { entry, base, writer, at: Instant::now() };
        if !self.outage.remember(key, change) {
            tracing::warn!(cache.namespace = %space.name, "more changes than can be remembered while the store is away");
        }
        space.stats.remembered.add();
        self.changed(space, &key.key, u64::MAX);
        if let Some((mut entry, tags)) = local {
            entry.stamp = self.provisional_stamp(space, &tags);
            let ticket = self.coherence.ticket(key);
            let copy = self.copy_of(space, entry, base, ticket);
            self.keep_copy(space, key, copy, ticket);
        }
    }
}

// === impl Space ===

impl Space {
    /// An entry for a value, checked; without its stamp.
    pub(super) fn new_entry(&self, value: Option<Bytes>, options: &WriteOptions) -> Result<NewEntry, Error> {
        let (bytes, limit) = (value.as_ref().map_or(0, Bytes::len), self.policy.max_value_bytes);
        if bytes > limit {
            return Err(Error::TooLarge { namespace: self.name.clone(), bytes, limit });
        }
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if options.content_type.as_deref().is_some_and(|text| !is_plain(text) || text.len() > 200) {
            let reason = "must be 1 to 200 printable ASCII characters".to_owned();
            return Err(Error::InvalidInput { field: "content_type", reason });
        }
        let ttl = match (&value, options.ttl) {
            (_, Some(ttl)) if ttl.is_zero() => {
                return Err(Error::InvalidInput { field: "ttl_s", reason: "must be above zero".to_owned() });
            }
            (_, Some(ttl)) => ttl.min(MAX_TTL),
            (Some(_), None) => self.jittered(self.policy.ttl),
            (None, None) => self.policy.null_ttl,
        };
        let allowed = self.policy.freshness.in_failure();
        let stale_for = options.stale_for.map_or(allowed, |stale_for| stale_for.min(allowed));
        let content_type = options.content_type.clone();
        Ok(NewEntry { value, content_type, ttl, stale_for, stamp: Stamp::default() })
    }

    /// A time shortened by up to the jitter of the policy.
    fn jittered(&self, ttl: Duration) -> Duration {
        let share = self.policy.ttl_jitter.clamp(0.0, 1.0) * rand::random::<f64>();
        ttl.mul_f64(1.0 - share).max(Duration::from_millis(1))
    }
}

/// Longer than anything is cached; beyond it sums of times would overflow in Redis.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
