//! What time it is on the servers, so that a plain read can tell that an entry is fresh.
//!
//! A server tells its time with an exact read, and that is remembered for a while as how far it is ahead of the clock of this
//! process. The answer was made after the question, so the time since the question is the most that can have passed there:
//! the time that is reckoned is never before the server's, and whoever trusts it takes an entry for older than it is by no
//! more than that one read took. A server whose clock is set, or one that takes over, is noticed with the next exact read.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::slot::{SLOTS, slot_of};

/// How long a time that was told is good for.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// Clocks run at the same pace to one part in so many.
const PACE: i64 = 1_000;

/// The clocks of the servers.
#[derive(Debug)]
pub(super) struct Clocks {
    start: Instant,
    /// One for each slot of a Cluster, whose nodes have a clock each; else one.
    clocks: Box<[Clock]>,
}

/// Times are microseconds.
#[derive(Debug, Default)]
struct Clock {
    /// How far it is ahead of the time since `start`.
    ahead: AtomicI64,
    /// When that was asked for, since `start`; 0 before it ever was.
    asked_at: AtomicI64,
}

// === impl Clocks ===

impl Clocks {
    pub(super) fn new(is_cluster: bool) -> Self {
        let count = if is_cluster { usize::from(SLOTS) } else { 1 };
        // A moment ago, so that no question was asked at 0.
        let start = Instant::now().checked_sub(Duration::from_millis(1)).unwrap_or_else(Instant::now);
        Self { start, clocks: (0..count).map(|_| Clock::default()).collect() }
    }

    /// The time on the server of a key, in milliseconds, or a little later; `None` when it is not known well enough.
    pub(super) fn now(&self, key: &str) -> Option<i64> {
        let clock = self.clock(key)?;
        let asked_at = clock.asked_at.load(Ordering::Acquire);
        let (now, good_for) = (self.micros(Instant::now()), micros(GOOD_FOR));
        let age = now - asked_at;
        // Rounded up, as the server's and ours were rounded down.
        let pace = age / PACE + 2;
        (asked_at > 0 && age < good_for).then(|| (clock.ahead.load(Ordering::Acquire) + now + pace) / 1_000 + 1)
    }

    /// Notes the time that the server of a key told, in microseconds, to a question of then.
    pub(super) fn told(&self, key: &str, time: i64, asked_at: Instant) {
        let asked_at = self.micros(asked_at);
        if let Some(clock) = self.clock(key) {
            // In this order: whoever sees the question sees its answer, or a newer one.
            clock.ahead.store(time.saturating_sub(asked_at), Ordering::Release);
            clock.asked_at.store(asked_at, Ordering::Release);
        }
    }

    /// Keys of a Cluster that share one are in one slot: braces are in none of their names, or around the same part of all.
    fn clock(&self, key: &str) -> Option<&Clock> {
        match &*self.clocks {
            [only] => Some(only),
            clocks => clocks.get(usize::from(slot_of(key.as_bytes()))),
        }
    }

    fn micros(&self, at: Instant) -> i64 {
        micros(at.duration_since(self.start))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TOLD: i64 = 1_700_000_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_time_that_was_told_goes_on_with_ours_and_is_never_behind() {
        let clocks = Clocks::new(false);
        assert_eq!(clocks.now("a"), None, "nobody told it");
        let asked_at = Instant::now();
        advance(Duration::from_millis(30)).await;
        clocks.told("a", TOLD, asked_at);
        for (passed, at_least) in [(0, 30), (470, 500), (4_500, 5_000)] {
            advance(Duration::from_millis(passed)).await;
            let now = clocks.now("b").unwrap() - TOLD / 1_000;
            assert!((at_least..at_least + 10).contains(&now), "{now} after {at_least} ms");
        }
        advance(GOOD_FOR).await;
        assert_eq!(clocks.now("a"), None, "too long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn each_slot_of_a_cluster_has_a_clock() {
        let clocks = Clocks::new(true);
        clocks.told("a", TOLD, Instant::now());
        assert!(clocks.now("a").is_some());
        assert_eq!(clocks.now("b"), None);
    }
}
