//! Leave to make one call. Each permit ends in a verdict or is dropped, and neither can be forgotten.

use std::{mem, time::Duration};

use super::Shared;

/// The breaker does not let the call through; nothing was sent.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::ManualClock;
/// use trackside_resilience::{BreakerConfig, CircuitBreaker, Rejected};
///
/// let breaker = CircuitBreaker::new("redis", BreakerConfig::default(), Arc::new(ManualClock::default()));
/// breaker.force_open();
/// let Rejected { retry_after, .. } = breaker.acquire().unwrap_err();
/// assert!(retry_after > Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker {breaker} is open, try again in {} ms", retry_after.as_millis())]
#[non_exhaustive]
pub struct Rejected {
    /// The breaker's name.
    pub breaker: &'static str,
    /// When a call may pass again. Never zero.
    pub retry_after: Duration,
}

/// Leave to make one call.
///
/// End it with [`success`](Self::success) or [`failure`](Self::failure). Dropping it, as a cancelled future does, gives
/// no verdict: nothing is counted, and a half-open place is free again. A verdict that comes when the breaker has moved
/// on since is ignored.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::ManualClock;
/// use trackside_resilience::{BreakerConfig, CircuitBreaker};
///
/// let breaker = CircuitBreaker::new("redis", BreakerConfig::default(), Arc::new(ManualClock::default()));
/// let permit = breaker.acquire()?;
/// permit.success(Duration::from_micros(300));
/// drop(breaker.acquire()?); // cancelled: no verdict
/// assert_eq!(breaker.snapshot().calls, 1);
/// # Ok::<(), trackside_resilience::Rejected>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once gives no verdict"]
pub struct Permit<'a> {
    breaker: &'a Shared,
    generation: u32,
    role: Role,
}

/// Leave to find out whether the dependency is back, for a background prober.
///
/// One at a time. Dropping it gives no verdict: the next probe is due at once.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::ManualClock;
/// use trackside_resilience::{BreakerConfig, BreakerState, CircuitBreaker};
///
/// let clock = ManualClock::default();
/// let breaker = CircuitBreaker::new("redis", BreakerConfig::default(), Arc::new(clock.clone()));
/// for _ in 0..5 {
///     breaker.acquire()?.failure(Duration::from_millis(1));
/// }
/// clock.advance(breaker.probe_after().unwrap());
/// breaker.probe().unwrap().success();
/// assert_eq!(breaker.state(), BreakerState::Ramping);
/// # Ok::<(), trackside_resilience::Rejected>(())
/// ```
#[derive(Debug)]
#[must_use = "a probe that is dropped at once gives no verdict"]
pub struct ProbePermit<'a> {
    breaker: &'a Shared,
    generation: u32,
}

/// What becomes of a permit's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Counted in the window.
    Counted,
    /// Decides a half-open breaker.
    HalfOpen,
    /// Of no interest: the breaker is disabled.
    Ignored,
}

// === impl Rejected ===

impl Rejected {
    pub(super) fn new(breaker: &'static str, retry_after: Duration) -> Self {
        Self { breaker, retry_after: retry_after.max(Duration::from_millis(1)) }
    }
}

// === impl Permit ===

impl<'a> Permit<'a> {
    pub(super) const fn new(breaker: &'a Shared, generation: u32, role: Role) -> Self {
        Self { breaker, generation, role }
    }

    /// The call succeeded after `elapsed`.
    #[inline]
    pub fn success(self, elapsed: Duration) {
        match self.role {
            Role::Counted => self.breaker.count_success(self.generation, elapsed),
            Role::HalfOpen => self.breaker.half_open_success(self.generation, elapsed),
            Role::Ignored => {}
        }
        mem::forget(self);
    }

    /// The call failed after `elapsed` in a way that speaks against the dependency: no answer, a broken connection, a
    /// server that says it cannot serve. A refusal of the request itself is a success here.
    pub fn failure(self, elapsed: Duration) {
        match self.role {
            Role::Counted => self.breaker.count_failure(self.generation, elapsed),
            Role::HalfOpen => self.breaker.probe_failure(self.generation),
            Role::Ignored => {}
        }
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.role == Role::HalfOpen {
            self.breaker.half_open_abandoned(self.generation);
        }
    }
}

// === impl ProbePermit ===

impl<'a> ProbePermit<'a> {
    pub(super) const fn new(breaker: &'a Shared, generation: u32) -> Self {
        Self { breaker, generation }
    }

    /// The dependency answers: the breaker starts its ramp.
    pub fn success(self) {
        self.breaker.probe_success(self.generation);
        mem::forget(self);
    }

    /// The dependency does not answer: the breaker is open again, for longer.
    pub fn failure(self) {
        self.breaker.probe_failure(self.generation);
        mem::forget(self);
    }
}

impl Drop for ProbePermit<'_> {
    fn drop(&mut self) {
        self.breaker.probe_abandoned(self.generation);
    }
}
