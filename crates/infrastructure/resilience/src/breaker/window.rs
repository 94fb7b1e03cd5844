//! The last calls of a breaker: ten slices of time, each one atomic word.
//!
//! A word is `lap 19 bits | slow 15 | failed 15 | succeeded 15`. A slice is reused every ten slices; the lap says which
//! round its counts belong to, so expiry needs no timer and no lock. A slice that fills up is halved, which keeps its
//! rates.
//!
//! Reading a clock costs three times as much as counting. Successes, which are nearly all calls, therefore read it only
//! until a slice has [`EXACT_SUCCESSES`] of them and then for one in [`SAMPLING`]: those between are counted in the
//! slice last seen. Failures and slow calls always read it. A success can so leave the window early, never late, and
//! fewer than `SAMPLING` of at least `EXACT_SUCCESSES` can be affected.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Slices in a window.
const SLICES: u64 = 10;
/// Width of one counter in bits.
const COUNTER_BITS: u32 = 15;
/// One counter's mask.
const COUNTER: u64 = (1 << COUNTER_BITS) - 1;
/// All counters' mask.
const COUNTERS: u64 = (1 << LAP_SHIFT) - 1;
/// Where the lap begins. 19 bits: with slices of a second it comes round after 60 days.
const LAP_SHIFT: u32 = 3 * COUNTER_BITS;
/// A counter that got here has its slice halved; the room above is for threads that count at the same moment.
const FULL: u64 = 1 << (COUNTER_BITS - 1);
/// Successes of a slice that read the clock each.
const EXACT_SUCCESSES: u64 = 64;
/// Above that, one success in so many reads the clock. A power of two.
const SAMPLING: u64 = 32;

/// What one call adds to its slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Failed in time.
    Failure,
    /// Failed, and slowly.
    SlowFailure,
    /// Succeeded slowly.
    SlowSuccess,
}

/// The calls in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    /// Also counted in one of the two above.
    pub(crate) slow: u32,
}

/// Ten slices of counts. On a cache line of its own: it is written by every call, its neighbours by almost none.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Window {
    slices: [AtomicU64; SLICES as usize],
    /// Number of the newest slice seen, counted from time zero. Only grows.
    newest: AtomicU64,
    slice_ns: u64,
}

// === impl Outcome ===

impl Outcome {
    const fn increment(self) -> u64 {
        match self {
            Self::Failure => 1 << COUNTER_BITS,
            Self::SlowFailure => (1 << COUNTER_BITS) | (1 << (2 * COUNTER_BITS)),
            Self::SlowSuccess => 1 | (1 << (2 * COUNTER_BITS)),
        }
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) const fn calls(&self) -> u32 {
        self.succeeded + self.failed
    }
}

// === impl Window ===

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        let slice_ns = nanos(length) / SLICES;
        let shortest = 1_000_000;
        Self { slices: Default::default(), newest: AtomicU64::new(0), slice_ns: slice_ns.max(shortest) }
    }

    /// Counts a call that succeeded in time. `now` is asked only when the clock must be read.
    #[inline]
    pub(crate) fn succeeded(&self, now: impl FnOnce() -> u64) {
        let newest = self.newest.load(Relaxed);
        let (slice, lap) = self.locate(newest);
        let word = slice.load(Relaxed);
        let successes = word & COUNTER;
        let sampled = successes < EXACT_SUCCESSES || successes.is_multiple_of(SAMPLING) || successes >= FULL;
        if sampled || word >> LAP_SHIFT != lap {
            self.add(now(), 1);
        } else {
            slice.fetch_add(1, Relaxed);
        }
    }

    /// Counts any other call, at `now` nanoseconds.
    pub(crate) fn record(&self, now: u64, outcome: Outcome) {
        self.add(now, outcome.increment());
    }

    /// The calls between the window's begin and `now`.
    pub(crate) fn counts(&self, now: u64) -> Counts {
        let newest = self.advance_to(now);
        let mut counts = Counts::default();
        for number in newest.saturating_sub(SLICES - 1)..=newest {
            let (slice, lap) = self.locate(number);
            let word = slice.load(Relaxed);
            if word >> LAP_SHIFT == lap {
                counts.succeeded += counter(word, 0);
                counts.failed += counter(word, 1);
                counts.slow += counter(word, 2);
            }
        }
        counts
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for slice in &self.slices {
            slice.store(0, Relaxed);
        }
    }

    #[inline(never)]
    fn add(&self, now: u64, increment: u64) {
        let (slice, lap) = self.locate(self.advance_to(now));
        let mut word = slice.load(Relaxed);
        loop {
            let expired = word >> LAP_SHIFT != lap;
            if !expired && !is_full(word) {
                slice.fetch_add(increment, Relaxed);
                return;
            }
            let kept = if expired { 0 } else { halve(word) };
            match slice.compare_exchange_weak(word, (lap << LAP_SHIFT) | (kept + increment), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => word = changed,
            }
        }
    }

    /// The number of the slice that holds `now`, or the newest seen when another thread is ahead.
    fn advance_to(&self, now: u64) -> u64 {
        let newest = self.newest.load(Relaxed);
        // Usually the slice is the one of the call before, and the division is saved.
        if now.wrapping_sub(newest * self.slice_ns) < self.slice_ns {
            return newest;
        }
        let number = now / self.slice_ns;
        self.newest.fetch_max(number, Relaxed).max(number)
    }

    fn locate(&self, number: u64) -> (&AtomicU64, u64) {
        let slice = &self.slices[(number % SLICES) as usize];
        (slice, (number / SLICES) & (u64::MAX >> LAP_SHIFT))
    }
}

fn counter(word: u64, index: u32) -> u32 {
    u32::try_from((word >> (index * COUNTER_BITS)) & COUNTER).unwrap_or(u32::MAX)
}

fn is_full(word: u64) -> bool {
    // The top bit of any of the three counters.
    word & (FULL | FULL << COUNTER_BITS | FULL << (2 * COUNTER_BITS)) != 0
}

fn halve(word: u64) -> u64 {
    // Each counter shifted by one, without the bit that falls into its neighbour.
    ((word & COUNTERS) >> 1) & !(FULL | FULL << COUNTER_BITS | FULL << (2 * COUNTER_BITS))
}

/// Whole nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn window() -> Window {
        Window::new(Duration::from_secs(10))
    }

    #[test]
    fn slices_expire_one_by_one() {
        let window = window();
        for second in 0..10 {
            window.record(second * SECOND, Outcome::Failure);
        }
        assert_eq!(window.counts(9 * SECOND).failed, 10);
        assert_eq!(window.counts(10 * SECOND).failed, 9);
        assert_eq!(window.counts(18 * SECOND).failed, 1);
        assert_eq!(window.counts(19 * SECOND), Counts::default());
    }

    #[test]
    fn a_slice_of_another_lap_starts_at_zero() {
        let window = window();
        window.record(SECOND, Outcome::Failure);
        window.record(11 * SECOND, Outcome::SlowFailure);
        assert_eq!(window.counts(11 * SECOND), Counts { succeeded: 0, failed: 1, slow: 1 });
    }

    #[test]
    fn a_full_slice_keeps_its_rates() {
        let window = window();
        for _ in 0..100_000 {
            window.succeeded(|| 0);
            window.record(0, Outcome::SlowSuccess);
            window.record(0, Outcome::Failure);
            window.record(0, Outcome::SlowFailure);
        }
        let Counts { succeeded, failed, slow } = window.counts(0);
        assert!(succeeded >= 8_000, "{succeeded}");
        for part in [succeeded, failed, slow] {
            let rate = f64::from(part) / f64::from(succeeded + failed);
            assert!((rate - 0.5).abs() < 0.01, "{rate}");
        }
    }

    #[test]
    fn successes_read_the_clock_until_the_slice_is_busy_and_then_rarely() {
        let window = window();
        let mut reads = 0;
        for _ in 0..EXACT_SUCCESSES + 10 * SAMPLING {
            window.succeeded(|| {
                reads += 1;
                0
            });
        }
        assert_eq!(reads, EXACT_SUCCESSES + 10);
        assert_eq!(u64::from(window.counts(0).succeeded), EXACT_SUCCESSES + 10 * SAMPLING);
    }

    #[test]
    fn a_busy_slice_notices_within_a_few_successes_that_it_is_over() {
        let window = window();
        for _ in 0..100 {
            window.succeeded(|| 0);
        }
        for _ in 0..SAMPLING {
            window.succeeded(|| 5 * SECOND);
        }
        let left = u64::from(window.counts(10 * SECOND).succeeded);
        assert!((1..=SAMPLING).contains(&left), "{left}");
    }

    #[test]
    fn nothing_is_lost_when_threads_count_in_the_same_slice() {
        let window = window();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        window.succeeded(|| 0);
                        window.record(0, Outcome::Failure);
                    }
                });
            }
        });
        assert_eq!(window.counts(0), Counts { succeeded: 8_000, failed: 8_000, slow: 0 });
    }
}
