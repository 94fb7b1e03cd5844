//! `get_or_load`: one loader per key, in this process and among all of them.
//!
//! | what is found | round trips |
//! |---|---|
//! | a copy in the process | 0 |
//! | an entry in the store | 1 |
//! | nothing, and the lease to load it | 2: the lookup that leases, and the fill; one more when the lookups before it found all |
//! | nothing, and somebody else loads it | 1, the message that it is there, and 1 |

mod loader;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Cached, Inner, LoadOptions, Loaded, Namespace, Space,
    coherence::Ticket,
    flights::{Outcome, Passenger, Seat},
    local::{Copy, nanos},
};
use crate::{Claim, Condition, EntryKey, Error, Freshness, Lookup, NewEntry, Writer, Written};

/// How long a caller waits for loaders altogether, as a multiple of one.
const MAX_LOADS: u32 = 3;
/// How often a caller looks by himself while messages may be missed.
const LOOK: Duration = Duration::from_millis(250);

/// Above every version.
const NEWEST: u64 = u64::MAX >> 12;

/// Any error of a loader.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// A loader that was called by nobody yet.
pub(super) type Loader = Box<dyn FnOnce() -> BoxFuture<'static, Result<Loaded, LoadError>> + Send>;

/// One load, in a task of its own so that no caller can end it.
struct Flight {
    inner: Arc<Inner>,
    space: Arc<Space>,
    key: EntryKey,
    options: LoadOptions,
    writer: Writer,
    /// Entries up to this version are to be replaced.
    after: u64,
}

// === impl Namespace ===

impl Namespace {
    /// The entry; when there is none, `loader` is called, once among all processes that ask for it at the same time, and
    /// what it finds is kept. `Ok(None)` of a loader is kept too, for the namespace's `null_ttl`.
    ///
    /// With a stale entry that the namespace allows, no caller waits for longer than `soft_timeout`; the loader goes on.
    /// The loader runs in a task of its own, and is dropped after `load_timeout`. Until then its lease is renewed, so that a
    /// second one runs elsewhere only when this process has died, or was cut off from the store for longer than the lease.
    ///
    /// Cancel-safe: the load goes on without its caller.
    ///
    /// # Errors
    /// [`Error::Loader`] and [`Error::LoadTimeout`] when there is nothing stale to answer with, [`Error::TooLarge`], or a
    /// failure of the store other than its absence.
    pub async fn get_or_load<F, Fut>(&self, key: &str, options: LoadOptions, loader: F) -> Result<Cached, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<Bytes>, LoadError>> + Send + 'static,
    {
        self.get_or_load_with(key, options, || async { loader().await.map(Loaded::from) }).await
    }

    /// As [`get_or_load`](Self::get_or_load), for a loader that learns only from its source how long the value is good.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<F, Fut>(&self, key: &str, options: LoadOptions, loader: F) -> Result<Cached, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded, LoadError>> + Send + 'static,
    {
        let now = self.inner.coherence.time.now();
        if let Some(copy) = self.inner.fresh_copy(&self.space, key, now) {
            self.space.stats.local_hits.add();
            let turn = || now.saturating_add(nanos(self.space.policy.load_timeout));
            if now >= copy.eager_at && copy.take_turn(now, turn()) {
                let after = copy.version;
                self.depart(key, options, Box::new(|| Box::pin(loader())), after)?;
            }
            return Ok(Cached { copy, is_stale: false });
        }
        // Boxed, so that a hit does not carry the size of a miss.
        Box::pin(self.load(key, options, Box::new(|| Box::pin(loader())))).await
    }

    async fn load(&self, key: &str, options: LoadOptions, loader: Loader) -> Result<Cached, Error> {
        let (inner, space) = (&*self.inner, &*self.space);
        let entry_key = space.key(key)?;
        let mut after = 0;
        match inner.remembered(space, &entry_key) {
            Some(Some(remembered)) => return Ok(remembered),
            // What the store still has was deleted here.
            Some(None) => after = NEWEST,
            None => {}
        }
        let stale = space.local.get(key).filter(|copy| inner.is_allowed_stale(space, copy));
        let stale = stale.map(|copy| Cached { copy, is_stale: true });
        if let Some(stale) = &stale
            && stale.copy.retry_at.load(std::sync::atomic::Ordering::Acquire) > inner.coherence.time.now()
        {
            space.stats.stale.add();
            return Ok(stale.clone());
        }
        if stale.is_none() && after == 0 && space.streak.is_long() && !space.flights.is_under_way(key) {
            match inner.read_valid(space, &entry_key).await {
                Ok(Some(found)) if !found.is_stale => {
                    space.stats.store_hits.add();
                    return Ok(found);
                }
                // The flight finds out what to do about it.
                _ => space.streak.note(false),
            }
        }
        let mut passenger = self.depart(key, options, loader, after)?;
        let outcome = match &stale {
            Some(stale) => match timeout(space.policy.soft_timeout, passenger.outcome()).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    space.stats.stale.add();
                    return Ok(stale.clone());
                }
            },
            None => passenger.outcome().await,
        };
        outcome.unwrap_or_else(|| Err(Passenger::namespace_lost(&space.name)))
    }

    /// Starts a load, unless one is under way.
    fn depart(&self, key: &str, options: LoadOptions, loader: Loader, after: u64) -> Result<Passenger, Error> {
        let key = self.space.key(key)?;
        match self.space.flights.board(&key.key) {
            Seat::Passenger(passenger) => Ok(passenger),
            Seat::Pilot(outcome, passenger) => {
                let (inner, space) = (Arc::clone(&self.inner), Arc::clone(&self.space));
                let flight = Flight { inner, space, key, options, writer: Writer::random(), after };
                self.inner.tasks.spawn(async move {
                    let space = Arc::clone(&flight.space);
                    let landing = space.flights.landing(&flight.key.key, outcome);
                    landing.tell(flight.fly(loader).await);
                });
                Ok(passenger)
            }
        }
    }
}

// === impl Flight ===

impl Flight {
    async fn fly(self, loader: Loader) -> Outcome {
        let started = Instant::now();
        let deadline = started + self.space.policy.load_timeout * MAX_LOADS;
        let inner = Arc::clone(&self.inner);
        let waiting = inner.coherence.wait_for(&self.key);
        loop {
            // Made before the store is asked: no message after the answer is missed.
            let mut told = pin!(waiting.notified());
            told.as_mut().enable();
            let ticket = inner.coherence.ticket(&self.key);
            let (claim, found) = match Box::pin(self.look_up(ticket)).await {
                Ok(answer) => answer,
                Err(error) if error.is_of_the_store() => return self.load_alone(ticket, loader).await,
                Err(error) => return Err(error),
            };
            self.space.streak.note(claim == Claim::Fresh);
            match claim {
                Claim::Fresh => {
                    self.space.stats.store_hits.add();
                    return found.ok_or_else(|| Passenger::namespace_lost(&self.space.name));
                }
                Claim::Granted => {
                    self.space.stats.misses.add();
                    return self.load_leased(ticket, found, loader).await;
                }
                Claim::Busy(_) if found.is_some() || Instant::now() >= deadline => {
                    let Some(stale) = found else { return Err(self.too_slow(started.elapsed())) };
                    // Somebody else is on it; this one is asked again when that is over.
                    self.space.stats.stale.add();
                    return Ok(stale);
                }
                Claim::Busy(left) => {
                    let hearing = inner.coherence.is_hearing(inner.config.mark_every * 3);
                    let nap = if hearing { left } else { left.min(LOOK) };
                    // A lease that has just ended is asked for a moment later, not at once.
                    let nap = pin!(sleep(nap.max(Duration::from_millis(5)).min(deadline - Instant::now())));
                    if let Either::Left(_) = select(told, nap).await {}
                }
            }
        }
    }

    /// Asks for the entry or its lease. What is found is fresh, or stale and allowed.
    async fn look_up(&self, ticket: Ticket) -> Result<(Claim, Option<Cached>), Error> {
        let (inner, space, key) = (&*self.inner, &*self.space, &self.key);
        let behind = space.policy.freshness.behind();
        let lease = self.lease();
        // With tags that are known by now, one round trip judges and leases.
        let stamp = inner.known_stamp(space, &self.options.tags, behind);
        let mut lookup = Lookup { writer: self.writer, lease, stamp, after: self.after };
        loop {
            let read = inner.timed(space, inner.store.lookup(key, &lookup));
            let (found, is_valid, until) = inner.with_tags(space, behind, read, |found| found.entry.as_ref()).await?;
            let Some(entry) = found.entry.filter(|_| is_valid) else {
                if found.claim != Claim::Fresh {
                    return Ok((found.claim, None));
                }
                // Fresh for the store, and invalid by its tags: it counts as nothing.
                lookup.stamp = Some(inner.stamp(space, &self.options.tags, behind).await?.0);
                lookup.after = NEWEST;
                continue;
            };
            let (version, is_fresh) = (entry.version, entry.is_fresh());
            if version <= self.after && version > 0 {
                return Ok((found.claim, None));
            }
            if is_fresh && found.claim == Claim::Granted {
                // Its tags are newer than the ones we knew: it is as good as any.
                inner.store.release(key, self.writer, Duration::ZERO).await?;
            }
            let copy = inner.keep(space, key, entry, ticket, until);
            if is_fresh {
                return Ok((Claim::Fresh, Some(Cached { copy, is_stale: false })));
            }
            let stale = inner.is_allowed_stale(space, &copy).then_some(Cached { copy, is_stale: true });
            return Ok((found.claim, stale));
        }
    }

    /// Loads with the lease, and fills.
    async fn load_leased(self, ticket: Ticket, stale: Option<Cached>, loader: Loader) -> Outcome {
        let inner = Arc::clone(&self.inner);
        // Before the loader begins: what is invalidated from here on invalidates what it finds.
        let stamp = match inner.stamp(&self.space, &self.options.tags, self.space.policy.freshness.behind()).await {
            Ok((stamp, _)) => stamp,
            Err(error) if error.is_of_the_store() => return self.load_alone(ticket, loader).await,
            Err(error) => return Err(error),
        };
        let entry = match self.call_leased(loader).await {
            Ok(entry) => NewEntry { stamp, ..entry },
            Err(error) => return self.failed(error, stale).await,
        };
        if entry.value.is_none() && self.space.policy.null_ttl.is_zero() {
            self.release(Duration::ZERO).await;
            return Ok(self.passing(entry, ticket));
        }
        let put = inner.store.put(&self.key, &entry, Condition::Leased, self.writer);
        match inner.timed(&self.space, put).await {
            Ok(Written::Done { version, existed }) => {
                let written = Written::Done { version, existed };
                inner.wrote(&self.space, &self.key, Some(entry.clone()), &written, ticket);
                let copy = inner.copy_of(&self.space, entry, version, ticket);
                Ok(Cached { copy, is_stale: false })
            }
            // Something newer came, or the lease was over: what was loaded is for those who waited, and nobody else.
            Ok(Written::Refused { .. }) => Ok(self.passing(entry, ticket)),
            Err(error) if error.is_of_the_store() => Ok(self.kept_here(entry, ticket)),
            Err(error) => Err(error),
        }
    }

    /// Loads while the store is away: once in this process.
    async fn load_alone(self, ticket: Ticket, loader: Loader) -> Outcome {
        let (inner, space) = (Arc::clone(&self.inner), Arc::clone(&self.space));
        let last = inner.copy_in_failure(&space, &self.key.key);
        if let Some(usual) = last.as_ref().filter(|last| !last.is_stale()) {
            space.stats.local_hits.add();
            return Ok(usual.clone());
        }
        let stamp = inner.provisional_stamp(&space, &self.options.tags);
        match self.call_loader(loader).await {
            Ok(entry) => Ok(self.kept_here(NewEntry { stamp, ..entry }, ticket)),
            Err(error) => self.stale_or(error, last),
        }
    }

    /// The loader failed: others are kept from it for a while where there is something stale to serve.
    async fn failed(self, error: Error, stale: Option<Cached>) -> Outcome {
        let local = self.space.local.get(&self.key.key);
        let local = local.filter(|copy| self.inner.is_allowed_stale(&self.space, copy));
        let stale = stale.or_else(|| local.map(|copy| Cached { copy, is_stale: true }));
        let throttle = if stale.is_some() { self.space.policy.throttle } else { Duration::ZERO };
        self.release(throttle).await;
        self.stale_or(error, stale)
    }

    fn stale_or(&self, error: Error, stale: Option<Cached>) -> Outcome {
        let Some(stale) = stale else { return Err(error) };
        tracing::debug!(
            cache.namespace = %self.space.name,
            error = &error as &dyn std::error::Error,
            "a stale entry is served because its loader failed"
        );
        let until = self.inner.coherence.time.now().saturating_add(nanos(self.space.policy.throttle));
        stale.copy.retry_at.store(until, std::sync::atomic::Ordering::Release);
        self.space.stats.stale.add();
        Ok(Cached { is_stale: true, ..stale })
    }

    /// The lease ends by its time when this does not reach the store.
    async fn release(&self, throttle: Duration) {
        if let Err(error) = self.inner.store.release(&self.key, self.writer, throttle).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a lease is left to its time");
        }
    }

    /// An entry that only those who waited get.
    fn passing(&self, entry: NewEntry, ticket: Ticket) -> Cached {
        Cached { copy: self.inner.copy_of(&self.space, entry, 0, ticket), is_stale: false }
    }

    /// An entry that only this process has: what it read before the store was away.
    fn kept_here(&self, entry: NewEntry, ticket: Ticket) -> Cached {
        let copy: Arc<Copy> = self.inner.copy_of(&self.space, entry, 0, ticket);
        if self.space.policy.freshness != Freshness::Strict {
            self.inner.keep_copy(&self.space, &self.key, Arc::clone(&copy), ticket);
        }
        Cached { copy, is_stale: false }
    }

    fn too_slow(&self, waited: Duration) -> Error {
        Error::LoadTimeout { namespace: self.space.name.clone(), waited }
    }
}
