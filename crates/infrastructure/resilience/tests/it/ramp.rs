//! How the load is raised after a recovery.

use std::time::Duration;

use trackside_resilience::{BreakerConfig, BreakerState};

use crate::support::{FAST, config, is_open, open_breaker, open_for, ramping_breaker, recover, succeed, trip};

#[test]
fn each_third_of_the_ramp_lets_its_part_of_the_calls_through() {
    let (breaker, clock) = ramping_breaker(config());
    for expected in [50, 250, 500] {
        let mut passed = 0;
        for _ in 0..1_000 {
            if let Ok(permit) = breaker.acquire() {
                permit.success(FAST);
                passed += 1;
            }
        }
        assert_eq!(passed, expected);
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    succeed(&breaker, 1_000);
}

#[test]
fn the_first_call_after_a_recovery_passes() {
    let (breaker, _) = ramping_breaker(config());
    succeed(&breaker, 1);
}

#[test]
fn a_refusal_in_the_ramp_names_the_next_stage() {
    let (breaker, clock) = ramping_breaker(config());
    succeed(&breaker, 1);
    clock.advance(Duration::from_millis(300));
    assert_eq!(breaker.acquire().unwrap_err().retry_after, Duration::from_millis(700));
}

#[test]
fn failures_in_the_ramp_open_it_for_longer() {
    let (breaker, clock) = ramping_breaker(config());
    clock.advance(Duration::from_secs(2));
    let mut failed = 0;
    while !is_open(&breaker) {
        if let Ok(permit) = breaker.acquire() {
            permit.failure(FAST);
            failed += 1;
        }
    }
    assert_eq!(failed, 5);
    assert_eq!(open_for(&breaker), Duration::from_secs(1));
}

#[test]
fn calls_begun_in_the_ramp_count_when_they_end_after_it() {
    let (breaker, clock) = ramping_breaker(config());
    let permit = breaker.acquire().unwrap();
    clock.advance(Duration::from_secs(3));
    assert_eq!(breaker.state(), BreakerState::Closed);
    permit.failure(FAST);
    assert_eq!(breaker.snapshot().failed, 1);
}

#[test]
fn without_a_ramp_it_closes_at_once() {
    let (breaker, clock) = open_breaker(BreakerConfig { ramp: Duration::ZERO, ..config() });
    recover(&breaker, &clock);
    assert_eq!(breaker.state(), BreakerState::Closed);
    succeed(&breaker, 10);
    assert_eq!(breaker.snapshot().failed, 0, "the calls that opened it are forgotten");
}

#[test]
fn the_open_time_starts_small_only_after_a_whole_window_of_being_closed() {
    let (breaker, clock) = ramping_breaker(config());
    clock.advance(Duration::from_secs(3));
    assert_eq!(breaker.state(), BreakerState::Closed);
    clock.advance(Duration::from_secs(9));
    trip(&breaker);
    assert_eq!(open_for(&breaker), Duration::from_secs(1), "it flaps");

    recover(&breaker, &clock);
    clock.advance(Duration::from_secs(3));
    assert_eq!(breaker.state(), BreakerState::Closed);
    clock.advance(Duration::from_secs(10));
    trip(&breaker);
    assert_eq!(open_for(&breaker), Duration::from_millis(500));
}

#[test]
fn the_ramp_ends_in_time_even_when_nobody_looks() {
    let (breaker, clock) = ramping_breaker(config());
    clock.advance(Duration::from_secs(3 + 10));
    trip(&breaker);
    assert_eq!(open_for(&breaker), Duration::from_millis(500), "it was closed for a whole window");
}
