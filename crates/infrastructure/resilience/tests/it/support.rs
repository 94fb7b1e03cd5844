//! A breaker on a manual clock, without randomness.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken fixture must fail the test that uses it")]

use std::{sync::Arc, time::Duration};

use trackside_core::ManualClock;
use trackside_resilience::{BackoffConfig, BreakerConfig, BreakerState, CircuitBreaker, Jitter};

pub(crate) const FAST: Duration = Duration::from_millis(1);
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// The defaults, with open times of exactly 0.5, 1, 2, 4, 8, 10 s.
pub(crate) fn config() -> BreakerConfig {
    let open_backoff = BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() };
    BreakerConfig { open_backoff, ..BreakerConfig::default() }
}

pub(crate) fn breaker(config: BreakerConfig) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::default();
    (CircuitBreaker::new("test", config, Arc::new(clock.clone())), clock)
}

/// A breaker that has just opened for 0.5 s.
pub(crate) fn open_breaker(config: BreakerConfig) -> (CircuitBreaker, ManualClock) {
    let (breaker, clock) = self::breaker(config);
    trip(&breaker);
    (breaker, clock)
}

/// A breaker whose prober has just succeeded.
pub(crate) fn ramping_breaker(config: BreakerConfig) -> (CircuitBreaker, ManualClock) {
    let (breaker, clock) = open_breaker(config);
    recover(&breaker, &clock);
    assert_eq!(breaker.state(), BreakerState::Ramping);
    (breaker, clock)
}

/// Fails calls until the breaker is open.
pub(crate) fn trip(breaker: &CircuitBreaker) {
    for _ in 0..breaker.config().consecutive_failures {
        breaker.acquire().unwrap().failure(FAST);
    }
    assert!(is_open(breaker));
}

/// Waits for the probe to be due and lets it succeed.
pub(crate) fn recover(breaker: &CircuitBreaker, clock: &ManualClock) {
    clock.advance(breaker.probe_after().unwrap());
    breaker.probe().unwrap().success();
}

pub(crate) fn succeed(breaker: &CircuitBreaker, calls: u32) {
    for _ in 0..calls {
        breaker.acquire().unwrap().success(FAST);
    }
}

pub(crate) fn is_open(breaker: &CircuitBreaker) -> bool {
    matches!(breaker.state(), BreakerState::Open { .. })
}

pub(crate) fn open_for(breaker: &CircuitBreaker) -> Duration {
    match breaker.state() {
        BreakerState::Open { retry_after } => retry_after,
        state => panic!("the breaker is {state}, not open"),
    }
}
