//! The injected clock: what a process believes the time is.
//!
//! Anything shared between processes (leases, windows, due times) is decided by the Redis server's clock instead.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Timestamp;

/// Where a component reads the time, so that tests can move it.
pub trait Clock: Send + Sync + Debug + 'static {
    /// Wall-clock time. May step backwards when the machine's clock is set.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed point. Never steps backwards.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
///
/// ```
/// use trackside_core::{Clock, SystemClock};
/// let clock = SystemClock::default();
/// assert!(clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

/// A clock that moves only when it is told to.
///
/// ```
/// use std::time::Duration;
/// use trackside_core::{Clock, ManualClock};
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(clock.now().millis_since(before), 3_000);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    /// Nanoseconds since the clock was made; shared by clones.
    elapsed_ns: Arc<AtomicU64>,
    /// Wall-clock time at `elapsed_ns == 0`.
    origin: Timestamp,
}

// === impl SystemClock ===

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_ns.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        // 2026-01-01T00:00:00Z: fixed, so that a test prints the same times every day.
        Self { elapsed_ns: Arc::default(), origin: Timestamp::from_millis(1_767_225_600_000) }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.origin.plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns.load(Ordering::SeqCst))
    }
}
