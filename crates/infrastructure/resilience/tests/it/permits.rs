//! A permit can be dropped, kept too long or given back late, and nothing leaks.

use std::time::Duration;

use trackside_resilience::{BreakerConfig, BreakerState};

use crate::support::{FAST, SLOW, breaker, config, is_open, open_breaker, ramping_breaker, trip};

#[test]
fn a_permit_dropped_while_closed_gives_no_verdict() {
    let (breaker, _) = breaker(config());
    for _ in 0..100 {
        drop(breaker.acquire().unwrap());
    }
    assert_eq!((breaker.state(), breaker.snapshot().calls), (BreakerState::Closed, 0));
}

#[test]
fn a_permit_dropped_while_half_open_frees_its_place() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(Duration::from_millis(500));
    for _ in 0..100 {
        drop(breaker.acquire().unwrap());
    }
    let held: Vec<_> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
    assert!(breaker.acquire().is_err());
    drop(held);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.acquire().is_ok());
}

#[test]
fn a_dropped_probe_is_due_again_at_once() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(Duration::from_millis(500));
    drop(breaker.probe().unwrap());
    assert_eq!(breaker.probe_after(), Some(Duration::ZERO));
    breaker.probe().unwrap().success();
    assert_eq!(breaker.state(), BreakerState::Ramping);
}

#[test]
fn a_permit_dropped_in_the_ramp_gives_no_verdict() {
    let (breaker, _) = ramping_breaker(config());
    drop(breaker.acquire().unwrap());
    assert_eq!((breaker.state(), breaker.snapshot().calls), (BreakerState::Ramping, 0));
}

#[test]
fn a_permit_dropped_after_the_breaker_moved_on_takes_nobodys_place() {
    let (breaker, clock) = open_breaker(config());
    clock.advance(Duration::from_millis(500));
    let old = breaker.acquire().unwrap();
    breaker.acquire().unwrap().failure(FAST);
    clock.advance(Duration::from_secs(1));
    let current: Vec<_> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
    drop(old);
    assert!(breaker.acquire().is_err(), "the place of another generation was freed");
    assert_eq!(current.len(), 3);
}

#[test]
fn verdicts_of_calls_from_before_the_outage_are_ignored() {
    let (breaker, clock) = breaker(config());
    let late: Vec<_> = (0..20).map(|_| breaker.acquire().unwrap()).collect();
    trip(&breaker);
    let before = breaker.snapshot();
    let mut late = late.into_iter();
    late.by_ref().take(5).for_each(|permit| permit.success(FAST));
    late.by_ref().take(5).for_each(|permit| permit.success(SLOW));
    assert_eq!(breaker.snapshot(), before);

    clock.advance(Duration::from_millis(500));
    let probe = breaker.probe().unwrap();
    late.by_ref().take(5).for_each(|permit| permit.failure(FAST));
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "an old failure is not the probe's");
    probe.success();
    late.for_each(|permit| permit.failure(FAST));
    assert_eq!((breaker.state(), breaker.snapshot().failed), (BreakerState::Ramping, 0));
}

#[test]
fn verdicts_of_an_earlier_half_open_time_are_ignored() {
    let (breaker, clock) = open_breaker(BreakerConfig { half_open_permits: 2, ..config() });
    clock.advance(Duration::from_millis(500));
    let (early, failing) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
    failing.failure(FAST);
    early.success(FAST);
    assert!(is_open(&breaker));
    clock.advance(Duration::from_secs(1));
    breaker.acquire().unwrap().success(FAST);
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "one of two succeeded in this half-open time");
}

#[tokio::test]
async fn a_cancelled_future_gives_its_place_back() {
    let (breaker, clock) = open_breaker(BreakerConfig { half_open_permits: 1, ..config() });
    clock.advance(Duration::from_millis(500));
    let call = async {
        let permit = breaker.acquire().unwrap();
        std::future::pending::<()>().await;
        permit.success(FAST);
    };
    tokio::select! {
        biased;
        () = call => unreachable!("it never ends"),
        () = std::future::ready(()) => {}
    }
    assert!(breaker.acquire().is_ok());
}
