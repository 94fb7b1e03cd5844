//! The circuit breaker: stops calling a dependency that does not answer, and finds out gently when it is back.
//!
//! # Why
//! A dependency that is away makes every caller wait for its timeout, and one that comes back is met by everyone at
//! once. The breaker makes the first a matter of nanoseconds and spreads the second over seconds.
//!
//! # Trip conditions
//! Looked at on each failed or slow call, never on a success; any one opens the breaker:
//! - `consecutive_failures` failures without a success between them: an outage is noticed within a few calls;
//! - at least `minimum_calls` calls in the window and `failure_rate` of them failed: it answers, but too rarely;
//! - the same with `slow_call_rate` of them slower than `slow_call`: it answers, but too late.
//!
//! # Recovery conditions
//! - *Open* lasts for `open_backoff`, longer each time until the breaker was closed for a whole window.
//! - *Half-open* begins when that time is over and somebody asks: the prober through [`CircuitBreaker::probe`], or, when
//!   `half_open_permits` is not 0, up to so many callers. One success of the prober, or success of all those calls,
//!   leads on; any failure, or no answer within `probe_timeout`, opens again. Whoever vanishes frees the place.
//! - *Ramping* lets 5, 25 and 50 % of the calls through, a third of `ramp` each, evenly spread. The trip conditions hold
//!   as when closed; then the breaker is closed.
//!
//! # Concurrency
//! While closed, a call costs one load before and, after, a few loads and one addition; the clock is read rarely (see
//! `window.rs`). Refusing costs one load and a clock reading. Every change of state is made under one mutex, which the
//! other paths never take. Each change into or out of *open* and *half-open* starts a new generation, and a verdict
//! from an older one is ignored.

mod admission;
mod config;
mod permit;
mod recovery;
mod state;
mod trip;
mod window;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use trackside_core::Clock;

pub use self::{
    config::BreakerConfig,
    permit::{Permit, ProbePermit, Rejected},
    state::{BreakerSnapshot, BreakerState, Transition, TransitionReason},
};
use self::{
    permit::Role,
    recovery::Recovery,
    state::{Phase, Word},
    window::{Window, nanos},
};

/// A circuit breaker. Clones share it.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::SystemClock;
/// use trackside_resilience::{BreakerConfig, BreakerState, CircuitBreaker};
///
/// let breaker = CircuitBreaker::new("redis", BreakerConfig::default(), Arc::new(SystemClock::default()));
/// for _ in 0..5 {
///     let permit = breaker.acquire()?;
///     permit.failure(Duration::from_millis(500));
/// }
/// assert!(matches!(breaker.state(), BreakerState::Open { .. }));
/// assert!(breaker.acquire().is_err());
/// # Ok::<(), trackside_resilience::Rejected>(())
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker(Arc<Shared>);

/// What the clones of a breaker share.
pub(crate) struct Shared {
    /// A [`Word`]. Written only while `recovery` is locked.
    word: AtomicU64,
    /// Failures since the last success.
    consecutive_failures: AtomicU32,
    /// Calls asked for since the ramp began; decides which of them pass.
    ramp_calls: AtomicU32,
    rejected: AtomicU64,
    window: Window,
    name: &'static str,
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    /// The clock's reading in nanoseconds when the breaker was made: its time zero.
    origin_ns: u64,
    recovery: Mutex<Recovery>,
    listeners: Mutex<Arc<[Listener]>>,
}

type Listener = Arc<dyn Fn(&Transition) + Send + Sync>;

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// A closed breaker. `name` stands in errors, logs and metrics.
    #[must_use]
    pub fn new(name: &'static str, config: BreakerConfig, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            word: AtomicU64::new(Word::new(Phase::Closed, 0, 0).bits()),
            consecutive_failures: AtomicU32::new(0),
            ramp_calls: AtomicU32::new(0),
            rejected: AtomicU64::new(0),
            window: Window::new(config.window),
            name,
            config,
            origin_ns: nanos(clock.monotonic()),
            clock,
            recovery: Mutex::default(),
            listeners: Mutex::new(Arc::default()),
        }))
    }

    /// Asks to make one call.
    ///
    /// # Errors
    /// [`Rejected`] when the breaker is open, or half-open with all places taken, or ramping and it is not this call's
    /// turn. The call must not be made.
    #[inline]
    pub fn acquire(&self) -> Result<Permit<'_>, Rejected> {
        let word = self.0.load();
        if word.is_closed() {
            return Ok(Permit::new(&self.0, word.generation(), Role::Counted));
        }
        self.0.acquire_when_not_closed(word)
    }

    /// Asks to probe the dependency: when the open time is over, or the breaker is half-open and nobody is probing.
    pub fn probe(&self) -> Option<ProbePermit<'_>> {
        self.0.probe()
    }

    /// How long until [`probe`](Self::probe) is worth calling (zero: now), or `None` when there is nothing to find out
    /// before the next transition.
    #[must_use]
    pub fn probe_after(&self) -> Option<Duration> {
        self.0.probe_after()
    }

    /// What the breaker does with calls now. Makes the changes that only the time decides.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.0.settle().state(self.0.now_ms())
    }

    /// State and counts at this moment.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        let state = self.state();
        let counts = self.0.window.counts(self.0.now_ns());
        BreakerSnapshot {
            state,
            transitions: self.0.lock().transitions,
            calls: counts.calls(),
            failed: counts.failed,
            slow: counts.slow,
            consecutive_failures: self.0.consecutive_failures.load(Ordering::Relaxed),
            rejected: self.0.rejected.load(Ordering::Relaxed),
        }
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The settings given to it.
    #[must_use]
    pub fn config(&self) -> &BreakerConfig {
        &self.0.config
    }

    /// Has `listener` called after each change of state, on the thread that caused it and outside the breaker's locks.
    ///
    /// Two threads may report two changes in the other order; [`Transition::sequence`] tells. It must not block.
    pub fn on_transition(&self, listener: impl Fn(&Transition) + Send + Sync + 'static) {
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        *listeners = listeners.iter().cloned().chain([Arc::new(listener) as Listener]).collect();
    }

    /// Refuses every call until another of these four is called.
    pub fn force_open(&self) {
        self.0.command(Phase::ForcedOpen);
    }

    /// Lets every call through, and counts, until another of these four is called.
    pub fn force_closed(&self) {
        self.0.command(Phase::ForcedClosed);
    }

    /// Lets every call through, and does not count, until another of these four is called.
    pub fn disable(&self) {
        self.0.command(Phase::Disabled);
    }

    /// Closes the breaker, with nothing counted, and lets it decide by itself again.
    pub fn reset(&self) {
        self.0.command(Phase::Closed);
    }
}

// === impl Shared ===

impl Shared {
    #[inline]
    fn load(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Nanoseconds since the breaker was made.
    fn now_ns(&self) -> u64 {
        nanos(self.clock.monotonic()).saturating_sub(self.origin_ns)
    }

    fn now_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }

    fn lock(&self) -> MutexGuard<'_, Recovery> {
        // Nothing is left half done by a panic: each change of state is one store.
        self.recovery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self, transition: Option<Transition>) {
        let Some(transition) = transition else { return };
        let listeners = Arc::clone(&self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        for listener in listeners.iter() {
            listener(&transition);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("state", &self.load().phase())
            .field("generation", &self.load().generation())
            .finish_non_exhaustive()
    }
}
