//! The store inside the process: same laws, nothing survives a restart and no other process finds it.

mod entry;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::{Clock, Timestamp};

use self::entry::{Entry, Verdict};
use crate::{
    Authority, Creation, Error, Found, Limit, NewRecord, NextSecret, Payload, Rotation, Saved, SecretHash, SessionId,
    SessionKey, SessionStore, Summary, Turned, UserTag, WhenFull, store::MOST_LISTED,
};

/// Sessions that are over and are removed with each one that is created.
const SWEPT_AT_ONCE: usize = 64;

/// Keeps sessions in the memory of this process.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_session::{Config, MemorySessionStore, SessionManager};
/// let store = MemorySessionStore::new(Arc::new(SystemClock::default()));
/// let sessions = SessionManager::new(Arc::new(store), Config::default())?;
/// # let _ = sessions; Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Debug)]
pub struct MemorySessionStore {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    users: HashMap<UserTag, HashMap<SessionId, Entry>>,
    /// When which session ends if it is not used until then: one for each session, and for some that were ended before.
    ends: BTreeSet<(Timestamp, SessionKey)>,
}

// === impl MemorySessionStore ===

impl MemorySessionStore {
    /// A store without a session.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MemorySessionStore {
    async fn create(&self, new: &NewRecord, limit: Option<Limit>) -> Result<Creation, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.sweep(now);
        if let (Verdict::Active, Some(entry)) = inner.judge(&new.key, &new.secret, now) {
            return Ok(Creation::Created(entry.record(false)));
        }
        if let Some(Limit { max, when_full }) = limit {
            let mut ids = inner.living(&new.key.user, now);
            ids.sort_unstable();
            let excess = (ids.len() + 1).saturating_sub(max.get() as usize);
            if excess > 0 && when_full == WhenFull::Refuse {
                return Ok(Creation::Full);
            }
            for id in ids.into_iter().take(excess.min(MOST_LISTED)) {
                inner.remove(&SessionKey { id, ..new.key });
            }
        }
        let entry = Entry::new(new, now);
        let record = entry.record(false);
        inner.ends.insert((entry.ends(), new.key));
        inner.users.entry(new.key.user).or_default().insert(new.key.id, entry);
        Ok(Creation::Created(record))
    }

    async fn load(&self, key: &SessionKey, secret: &SecretHash, touch_every: Duration) -> Result<Found, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let (verdict, Some(entry)) = inner.judge(key, secret, now) else { return Ok(Found::Unknown) };
        let is_superseded = match verdict {
            Verdict::Unknown => return Ok(Found::Unknown),
            Verdict::Reused => {
                inner.remove(key);
                return Ok(Found::Reused);
            }
            Verdict::Late => true,
            Verdict::Active => {
                entry.salt = None;
                false
            }
        };
        let is_due = u128::from(now.millis_since(entry.seen)) >= touch_every.as_millis();
        let record = inner.noted(key, is_due.then_some(now), is_superseded);
        Ok(record.map_or(Found::Unknown, Found::Active))
    }

    async fn save(
        &self,
        key: &SessionKey,
        secret: &SecretHash,
        expected: u64,
        context: &Payload,
    ) -> Result<Saved, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let (verdict, Some(entry)) = inner.judge(key, secret, now) else { return Ok(Saved::Unknown) };
        let is_superseded = match verdict {
            Verdict::Unknown => return Ok(Saved::Unknown),
            Verdict::Reused => {
                inner.remove(key);
                return Ok(Saved::Reused);
            }
            Verdict::Late => true,
            Verdict::Active => false,
        };
        if entry.version != expected {
            return Ok(Saved::Conflict(entry.record(is_superseded)));
        }
        entry.version += 1;
        entry.context = context.clone();
        let record = inner.noted(key, Some(now), is_superseded);
        Ok(record.map_or(Saved::Unknown, Saved::Written))
    }

    async fn rotate(&self, key: &SessionKey, secret: &SecretHash, next: &NextSecret) -> Result<Turned, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let (verdict, Some(entry)) = inner.judge(key, secret, now) else { return Ok(Turned::Unknown) };
        let is_latest = entry.is_latest(secret);
        let salt = match verdict {
            _ if is_latest && entry.hash == next.hash => next.salt,
            Verdict::Unknown => return Ok(Turned::Unknown),
            Verdict::Reused => {
                inner.remove(key);
                return Ok(Turned::Reused);
            }
            Verdict::Late => match entry.salt {
                Some(salt) if is_latest && next.rotation == Rotation::Routine => salt,
                _ => return Ok(Turned::Superseded),
            },
            Verdict::Active => {
                entry.replace(next, now);
                let record = inner.noted(key, Some(now), false);
                return Ok(record.map_or(Turned::Unknown, |record| Turned::Rotated { record, salt: next.salt }));
            }
        };
        Ok(Turned::Rotated { record: entry.record(false), salt })
    }

    async fn destroy(&self, key: &SessionKey, authority: Authority<'_>) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let may = match authority {
            Authority::Owner => true,
            Authority::Secret(secret) => !matches!(inner.judge(key, secret, now).0, Verdict::Unknown),
        };
        let is_living = inner.entry(key).is_some_and(|entry| entry.is_living(now));
        if may {
            inner.remove(key);
        }
        Ok(may && is_living)
    }

    async fn destroy_all(&self, user: &UserTag, keep: Option<SessionId>) -> Result<(), Error> {
        let mut inner = self.inner();
        let sessions = inner.users.remove(user);
        if let Some((id, mut sessions)) = keep.zip(sessions)
            && let Some(entry) = sessions.remove(&id)
        {
            inner.users.insert(*user, HashMap::from([(id, entry)]));
        }
        Ok(())
    }

    async fn list(&self, user: &UserTag) -> Result<Vec<Summary>, Error> {
        let now = self.clock.now();
        let inner = self.inner();
        let Some(sessions) = inner.users.get(user) else { return Ok(Vec::new()) };
        let living = sessions.iter().filter(|(_, entry)| entry.is_living(now));
        let mut summaries: Vec<Summary> = living.map(|(id, entry)| entry.summary(*id)).collect();
        summaries.sort_unstable_by_key(|summary| std::cmp::Reverse((summary.expires_at, summary.id)));
        summaries.truncate(MOST_LISTED);
        Ok(summaries)
    }
}

// === impl Inner ===

impl Inner {
    fn entry(&mut self, key: &SessionKey) -> Option<&mut Entry> {
        self.users.get_mut(&key.user)?.get_mut(&key.id)
    }

    fn judge(&mut self, key: &SessionKey, secret: &SecretHash, now: Timestamp) -> (Verdict, Option<&mut Entry>) {
        match self.entry(key) {
            Some(entry) if entry.is_living(now) => (entry.judge(secret, now), Some(entry)),
            _ => (Verdict::Unknown, None),
        }
    }

    /// The session as it is after a use, which is noted when there is a time to note.
    fn noted(&mut self, key: &SessionKey, seen: Option<Timestamp>, is_superseded: bool) -> Option<crate::Record> {
        let entry = self.users.get_mut(&key.user)?.get_mut(&key.id)?;
        if let Some(seen) = seen {
            self.ends.remove(&(entry.ends(), *key));
            entry.seen = seen;
            self.ends.insert((entry.ends(), *key));
        }
        Some(entry.record(is_superseded))
    }

    fn living(&self, user: &UserTag, now: Timestamp) -> Vec<SessionId> {
        let sessions = self.users.get(user).into_iter().flatten();
        sessions.filter(|(_, entry)| entry.is_living(now)).map(|(id, _)| *id).collect()
    }

    fn remove(&mut self, key: &SessionKey) {
        let Some(sessions) = self.users.get_mut(&key.user) else { return };
        if let Some(entry) = sessions.remove(&key.id) {
            self.ends.remove(&(entry.ends(), *key));
        }
        if sessions.is_empty() {
            self.users.remove(&key.user);
        }
    }

    /// Forgets some sessions that are over.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.ends.first() {
                Some((ends, _)) if *ends <= now => {}
                _ => return,
            }
            let Some((ends, key)) = self.ends.pop_first() else { return };
            if self.entry(&key).is_some_and(|entry| entry.ends() == ends) {
                self.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use trackside_core::ManualClock;

    use super::*;
    use crate::{Config, NewSession, SessionManager};

    #[tokio::test]
    async fn sessions_that_nobody_comes_back_to_are_forgotten() {
        let clock = ManualClock::default();
        let store = Arc::new(MemorySessionStore::new(Arc::new(clock.clone())));
        let sessions = SessionManager::new(Arc::<MemorySessionStore>::clone(&store), Config::default()).unwrap();
        for user in 0..500 {
            sessions.create(NewSession::of(format!("user-{user}").parse().unwrap())).await.unwrap();
        }
        clock.advance(Duration::from_secs(7_200));
        for _ in 0..10 {
            sessions.create(NewSession::of("alice".parse().unwrap())).await.unwrap();
        }
        let inner = store.inner();
        assert_eq!((inner.users.len(), inner.ends.len()), (1, 10));
    }
}
