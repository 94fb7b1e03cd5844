//! What opens a closed breaker, and what does not.

use std::time::Duration;

use trackside_resilience::{BreakerConfig, BreakerState};

use crate::support::{FAST, SLOW, breaker, config, is_open, open_for, succeed, trip};

#[test]
fn failures_in_a_row_open_it_before_the_window_has_enough_calls() {
    let (breaker, _) = breaker(config());
    for _ in 0..4 {
        breaker.acquire().unwrap().failure(FAST);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.acquire().unwrap().failure(FAST);
    assert_eq!(open_for(&breaker), Duration::from_millis(500));
}

#[test]
fn a_success_between_failures_starts_the_row_again() {
    let (breaker, _) = breaker(BreakerConfig { failure_rate: 1.1, ..config() });
    for _ in 0..10 {
        for _ in 0..4 {
            breaker.acquire().unwrap().failure(FAST);
        }
        succeed(&breaker, 1);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn half_of_enough_calls_failing_opens_it() {
    let (breaker, _) = breaker(config());
    for call in 0..19 {
        let permit = breaker.acquire().unwrap();
        if call % 2 == 0 { permit.failure(FAST) } else { permit.success(FAST) }
    }
    // Ten of nineteen failed: the rate is reached, the number of calls is not.
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.acquire().unwrap().failure(FAST);
    assert!(is_open(&breaker));
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let (breaker, clock) = breaker(BreakerConfig { consecutive_failures: 0, ..config() });
    for _ in 0..19 {
        breaker.acquire().unwrap().failure(FAST);
    }
    clock.advance(Duration::from_secs(10));
    for _ in 0..19 {
        breaker.acquire().unwrap().failure(FAST);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.snapshot().calls, 19);
}

#[test]
fn slow_successes_open_it() {
    let (breaker, _) = breaker(config());
    succeed(&breaker, 4);
    for _ in 0..15 {
        breaker.acquire().unwrap().success(SLOW);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.acquire().unwrap().success(SLOW);
    assert!(is_open(&breaker));
}

#[test]
fn a_call_as_long_as_the_limit_is_not_slow() {
    let (breaker, _) = breaker(config());
    for _ in 0..100 {
        breaker.acquire().unwrap().success(config().slow_call);
    }
    assert_eq!(breaker.snapshot().slow, 0);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn limits_that_are_switched_off_never_open_it() {
    let off = BreakerConfig { failure_rate: 1.1, slow_call_rate: 1.1, consecutive_failures: 0, ..config() };
    let (breaker, _) = breaker(off);
    for _ in 0..1_000 {
        breaker.acquire().unwrap().failure(SLOW);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_refusal_tells_how_long_to_wait_and_is_counted() {
    let (breaker, clock) = breaker(config());
    trip(&breaker);
    clock.advance(Duration::from_millis(120));
    let rejected = breaker.acquire().unwrap_err();
    assert_eq!(rejected.retry_after, Duration::from_millis(380));
    assert_eq!(rejected.breaker, "test");
    assert_eq!(rejected.to_string(), "circuit breaker test is open, try again in 380 ms");
    assert_eq!(breaker.snapshot().rejected, 1);
}

#[test]
fn an_open_breaker_still_shows_the_calls_that_opened_it() {
    let (breaker, _) = breaker(config());
    trip(&breaker);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls, snapshot.failed, snapshot.consecutive_failures), (5, 5, 5));
    assert_eq!(snapshot.transitions, 1);
}

#[test]
fn a_window_of_nothing_is_the_shortest_one() {
    let (breaker, clock) = breaker(BreakerConfig { window: Duration::ZERO, ..config() });
    breaker.acquire().unwrap().failure(FAST);
    assert_eq!(breaker.snapshot().failed, 1);
    clock.advance(Duration::from_millis(10));
    assert_eq!(breaker.snapshot().failed, 0);
}
