//! The store inside the process: same laws, nothing survives a restart and no other process counts with it.

mod meter;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::Clock;

use self::meter::{Meter, Now};
use crate::{
    Algorithm, Answer, Ask, Counter, CounterState, Error, Group, LimitName, MAX_OVERRIDES, Mode, RateLimitStore,
    ReservationId, Settlement, Shared, Source, Target, Unit, Verdict, algorithm::Wait,
};

/// Counters that are over and are removed with each call.
const SWEPT_AT_ONCE: usize = 4;

/// Counts in the memory of this process.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_ratelimit::{MemoryRateLimitStore, RateLimitStore, Source};
/// let store = MemoryRateLimitStore::new(Arc::new(SystemClock::default()));
/// assert_eq!(store.source(), Source::Local);
/// ```
#[derive(Debug)]
pub struct MemoryRateLimitStore {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counters: HashMap<Place, Slot>,
    reservations: HashMap<ReservationId, Kept>,
    /// When which of the two is over, one for each.
    ends: BTreeSet<(u64, End)>,
    overrides: HashMap<Target, u64>,
    version: u64,
}

/// Where a counter is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    group: String,
    limit: LimitName,
    /// Counts of another kind begin anew.
    algorithm: Algorithm,
    window: Duration,
    value: String,
}

#[derive(Debug)]
struct Slot {
    meter: Meter,
    /// In milliseconds.
    ends: u64,
}

/// A reservation that is not settled.
#[derive(Debug)]
struct Kept {
    group: Group,
    /// What was taken from each counter, and where in it.
    taken: Vec<(Place, u64, u64)>,
    ends: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Counter(Place),
    Reservation(u128),
}

// === impl MemoryRateLimitStore ===

impl MemoryRateLimitStore {
    /// A store in which nothing was counted.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    fn inner(&self) -> (MutexGuard<'_, Inner>, Now) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Not zero, as if the process had started long ago: windows reach back from the first call as well.
        let us = self.clock.monotonic().as_micros() + 1_000_000 * 86_400 * 365;
        (inner, Now { us: u64::try_from(us).unwrap_or(u64::MAX) })
    }
}

#[async_trait]
impl RateLimitStore for MemoryRateLimitStore {
    async fn take(&self, ask: &Ask) -> Result<Answer, Error> {
        let (mut inner, now) = self.inner();
        inner.sweep(now);
        let id = match ask.mode {
            Mode::Reserve { id, .. } => Some(id),
            Mode::Take | Mode::Peek => None,
        };
        let is_repeated = id.is_some_and(|id| inner.reservations.contains_key(&id));
        let waits: Vec<Wait> = ask.counters.iter().map(|counter| inner.wait(ask, counter, now, id)).collect();
        let is_free = |(wait, counter): (&Wait, &Counter)| *wait == Wait::No || counter.is_shadow;
        let allowed = is_repeated || waits.iter().zip(&ask.counters).all(is_free);
        let takes = allowed && !is_repeated && ask.mode != Mode::Peek;
        let mut states = Vec::with_capacity(waits.len());
        let mut taken = Vec::new();
        for (counter, wait) in ask.counters.iter().zip(waits) {
            let place = Place::of(ask, counter);
            let mut granted = 0;
            if takes && wait == Wait::No {
                granted = inner.spare(&place, counter, now).saturating_sub(counter.units).min(counter.wish);
                let stamp = inner.add(&place, counter, now, counter.units + granted, id);
                taken.push((place.clone(), counter.units, stamp));
            }
            states.push(inner.state(&place, counter, now, if is_repeated { Wait::No } else { wait }, granted));
        }
        if let (true, Mode::Reserve { id, kept }) = (takes, ask.mode) {
            let ends = now.ms() + millis(kept);
            inner.ends.insert((ends, End::Reservation(id.as_u128())));
            inner.reservations.insert(id, Kept { group: ask.group.clone(), taken, ends });
        }
        Ok(Answer { allowed, counters: states })
    }

    async fn settle(&self, ask: &Ask, id: ReservationId, settlement: Settlement) -> Result<bool, Error> {
        let (mut inner, now) = self.inner();
        inner.sweep(now);
        if !inner.is_of(ask, id, now) {
            return Ok(false);
        }
        let Some(kept) = inner.reservations.remove(&id) else { return Ok(false) };
        inner.ends.remove(&(kept.ends, End::Reservation(id.as_u128())));
        for (place, units, stamp) in kept.taken {
            let Some(counter) = ask.counters.iter().find(|counter| counter.limit == place.limit) else { continue };
            let used = match (settlement, counter.unit) {
                (Settlement::Refund, _) => 0,
                (Settlement::Used(_), Unit::Request) => units,
                (Settlement::Used(used), Unit::Cost) => used,
            };
            if counter.quota.algorithm == Algorithm::Concurrent {
                inner.change(&place, counter, now, |meter| meter.leave(id));
            } else if used < units {
                inner.change(&place, counter, now, |meter| meter.give_back(&counter.quota, now, stamp, units - used));
            } else if used > units {
                inner.add(&place, counter, now, used - units, None);
            }
        }
        Ok(true)
    }

    async fn renew(&self, ask: &Ask, id: ReservationId) -> Result<bool, Error> {
        let (mut inner, now) = self.inner();
        inner.sweep(now);
        if !inner.is_of(ask, id, now) {
            return Ok(false);
        }
        let mut held = true;
        for counter in ask.counters.iter().filter(|counter| counter.quota.algorithm == Algorithm::Concurrent) {
            let place = Place::of(ask, counter);
            held &= inner.change(&place, counter, now, |meter| meter.renew(&counter.quota, now, id)).unwrap_or(false);
        }
        Ok(held)
    }

    async fn sync(&self, _process: &str, _present_for: Duration, known: u64) -> Result<Shared, Error> {
        let (inner, _) = self.inner();
        let overrides = (inner.version != known)
            .then(|| (inner.version, inner.overrides.iter().map(|(target, limit)| (target.clone(), *limit)).collect()));
        Ok(Shared { processes: 1, overrides })
    }

    async fn put_override(&self, target: &Target, limit: Option<u64>) -> Result<(), Error> {
        let (mut inner, _) = self.inner();
        match limit {
            Some(limit) => {
                if inner.overrides.len() >= MAX_OVERRIDES && !inner.overrides.contains_key(target) {
                    return Err(Error::TooManyOverrides { max: MAX_OVERRIDES });
                }
                inner.overrides.insert(target.clone(), limit);
            }
            None => drop(inner.overrides.remove(target)),
        }
        inner.version += 1;
        Ok(())
    }

    fn source(&self) -> Source {
        Source::Local
    }
}

// === impl Inner ===

impl Inner {
    fn wait(&self, ask: &Ask, counter: &Counter, now: Now, id: Option<ReservationId>) -> Wait {
        let fresh = Meter::new(counter.quota.algorithm);
        let slot = self.counters.get(&Place::of(ask, counter));
        slot.map_or(&fresh, |slot| &slot.meter).wait(&counter.quota, now, counter.units, id)
    }

    /// What is left of a counter.
    fn spare(&self, place: &Place, counter: &Counter, now: Now) -> u64 {
        let fresh = Meter::new(counter.quota.algorithm);
        self.counters.get(place).map_or(&fresh, |slot| &slot.meter).room(&counter.quota, now).remaining
    }

    fn state(&self, place: &Place, counter: &Counter, now: Now, wait: Wait, granted: u64) -> CounterState {
        let fresh = Meter::new(counter.quota.algorithm);
        let room = self.counters.get(place).map_or(&fresh, |slot| &slot.meter).room(&counter.quota, now);
        let verdict = match wait {
            Wait::No => Verdict::Room,
            Wait::Millis(wait) => Verdict::After(Duration::from_millis(wait)),
            Wait::Forever => Verdict::Never,
        };
        CounterState { verdict, remaining: room.remaining, reset: Duration::from_millis(room.reset), granted }
    }

    fn add(&mut self, place: &Place, counter: &Counter, now: Now, units: u64, id: Option<ReservationId>) -> u64 {
        let algorithm = counter.quota.algorithm;
        let fresh = || Slot { meter: Meter::new(algorithm), ends: 0 };
        let slot = self.counters.entry(place.clone()).or_insert_with(fresh);
        let stamp = slot.meter.add(&counter.quota, now, units, id);
        self.plan_end(place, counter, now);
        stamp
    }

    fn change<T>(
        &mut self,
        place: &Place,
        counter: &Counter,
        now: Now,
        change: impl FnOnce(&mut Meter) -> T,
    ) -> Option<T> {
        let changed = change(&mut self.counters.get_mut(place)?.meter);
        self.plan_end(place, counter, now);
        Some(changed)
    }

    fn plan_end(&mut self, place: &Place, counter: &Counter, now: Now) {
        let Some(slot) = self.counters.get_mut(place) else { return };
        let ends = now.ms() + slot.meter.room(&counter.quota, now).reset;
        self.ends.remove(&(slot.ends, End::Counter(place.clone())));
        slot.ends = ends;
        self.ends.insert((ends, End::Counter(place.clone())));
    }

    /// Whether a reservation is there and was made with these counters.
    fn is_of(&self, ask: &Ask, id: ReservationId, now: Now) -> bool {
        let is_asked = |place: &Place| ask.counters.iter().any(|counter| Place::of(ask, counter) == *place);
        self.reservations.get(&id).is_some_and(|kept| {
            kept.ends > now.ms() && kept.group == ask.group && kept.taken.iter().all(|(place, ..)| is_asked(place))
        })
    }

    /// Forgets some of what is over.
    fn sweep(&mut self, now: Now) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.ends.first() {
                Some((ends, _)) if *ends <= now.ms() => {}
                _ => return,
            }
            match self.ends.pop_first() {
                Some((_, End::Counter(place))) => drop(self.counters.remove(&place)),
                Some((_, End::Reservation(id))) => drop(self.reservations.remove(&ReservationId::from_u128(id))),
                None => return,
            }
        }
    }
}

// === impl Place ===

impl Place {
    fn of(ask: &Ask, counter: &Counter) -> Self {
        let Counter { limit, value, quota, .. } = counter;
        let (limit, value) = (limit.clone(), value.clone());
        Self { group: ask.group.to_string(), limit, algorithm: quota.algorithm, window: quota.window, value }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
