//! How an open breaker finds out that the dependency is back.

use std::{
    sync::{Barrier, Mutex},
    time::Duration,
};

use trackside_resilience::{BreakerConfig, BreakerState};

use crate::support::{FAST, SLOW, config, is_open, open_breaker, open_for, recover};

const OPEN_TIME: Duration = Duration::from_millis(500);

#[test]
fn nothing_is_probed_before_the_open_time_is_over() {
    let (breaker, clock) = open_breaker(config());
    assert_eq!(breaker.probe_after(), Some(OPEN_TIME));
    clock.advance(OPEN_TIME - Duration::from_millis(1));
    assert!(breaker.probe().is_none());
    assert!(breaker.acquire().is_err());
    clock.advance(Duration::from_millis(1));
    assert_eq!(breaker.probe_after(), Some(Duration::ZERO));
    assert!(breaker.probe().is_some());
}

#[test]
fn callers_close_it_when_all_of_them_succeed() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    for _ in 0..3 {
        assert_ne!(breaker.state(), BreakerState::Ramping);
        breaker.acquire().unwrap().success(FAST);
    }
    assert_eq!(breaker.state(), BreakerState::Ramping);
}

#[test]
fn one_failing_caller_opens_it_again_for_longer() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    breaker.acquire().unwrap().success(FAST);
    breaker.acquire().unwrap().failure(FAST);
    assert_eq!(open_for(&breaker), 2 * OPEN_TIME);
}

#[test]
fn slow_callers_open_it_again() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    for _ in 0..3 {
        breaker.acquire().unwrap().success(SLOW);
    }
    assert_eq!(open_for(&breaker), 2 * OPEN_TIME);
}

#[test]
fn of_a_thousand_concurrent_callers_only_the_permitted_ones_pass() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    let (threads, calls) = (20, 50);
    let passed = Mutex::new(Vec::new());
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                for _ in 0..calls {
                    if let Ok(permit) = breaker.acquire() {
                        passed.lock().unwrap().push(permit);
                    }
                }
            });
        }
    });
    let passed = passed.into_inner().unwrap();
    assert_eq!(passed.len(), 3);
    assert_eq!(breaker.snapshot().rejected, 997);
    for permit in passed {
        permit.success(FAST);
    }
    assert_eq!(breaker.state(), BreakerState::Ramping);
}

#[test]
fn a_prober_alone_closes_it_and_no_caller_is_risked() {
    let (breaker, clock) = open_breaker(BreakerConfig { half_open_permits: 0, ..config() });
    clock.advance(Duration::from_secs(3_600));
    assert!(breaker.acquire().is_err());
    let probe = breaker.probe().unwrap();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.acquire().is_err());
    assert!(breaker.probe().is_none(), "two probes at once");
    probe.success();
    assert_eq!(breaker.state(), BreakerState::Ramping);
}

#[test]
fn failing_probes_open_it_for_longer_up_to_the_maximum() {
    let (breaker, clock) = open_breaker(config());
    for seconds in [1, 2, 4, 8, 10, 10] {
        clock.advance(breaker.probe_after().unwrap());
        breaker.probe().unwrap().failure();
        assert_eq!(open_for(&breaker), Duration::from_secs(seconds));
    }
}

#[test]
fn a_probe_without_an_answer_counts_as_failed() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    let lost = breaker.probe().unwrap();
    clock.advance(Duration::from_secs(4));
    assert_eq!(breaker.probe_after(), Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(1));
    assert_eq!(open_for(&breaker), 2 * OPEN_TIME);
    lost.success();
    assert!(is_open(&breaker), "its late answer counts for nothing");
}

#[test]
fn callers_without_an_answer_do_not_keep_it_half_open() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    let lost: Vec<_> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
    clock.advance(Duration::from_secs(5));
    assert_eq!(breaker.acquire().unwrap_err().retry_after, 2 * OPEN_TIME);
    drop(lost);
    recover(&breaker, &clock);
    assert_eq!(breaker.state(), BreakerState::Ramping);
}

#[test]
fn a_half_open_breaker_that_nobody_calls_waits() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(OPEN_TIME);
    drop(breaker.acquire().unwrap());
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    for _ in 0..3 {
        breaker.acquire().unwrap().success(FAST);
    }
    assert_eq!(breaker.state(), BreakerState::Ramping);
}
