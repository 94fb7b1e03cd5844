//! What an operator commands, and what listeners are told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use trackside_resilience::{BreakerState, TransitionReason};

use crate::support::{FAST, breaker, config, open_breaker, recover, succeed, trip};

#[test]
fn forced_open_refuses_and_cannot_be_probed() {
    let (breaker, clock) = breaker(config());
    breaker.force_open();
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(breaker.state(), BreakerState::ForcedOpen);
    assert_eq!(breaker.acquire().unwrap_err().retry_after, Duration::from_secs(10));
    assert!(breaker.probe().is_none());
    assert_eq!(breaker.probe_after(), None);
}

#[test]
fn forced_closed_counts_but_does_not_open() {
    let (breaker, _) = open_breaker(config());
    breaker.force_closed();
    for _ in 0..100 {
        breaker.acquire().unwrap().failure(FAST);
    }
    assert_eq!((breaker.state(), breaker.snapshot().failed), (BreakerState::ForcedClosed, 100));
}

#[test]
fn disabled_neither_counts_nor_opens() {
    let (breaker, _) = breaker(config());
    breaker.disable();
    for _ in 0..100 {
        breaker.acquire().unwrap().failure(FAST);
    }
    assert_eq!((breaker.state(), breaker.snapshot().calls), (BreakerState::Disabled, 0));
}

#[test]
fn reset_closes_it_and_forgets() {
    let (breaker, clock) = open_breaker(config());
    breaker.reset();
    assert_eq!((breaker.state(), breaker.snapshot().failed), (BreakerState::Closed, 0));
    succeed(&breaker, 1);
    clock.advance(Duration::from_secs(1));
    trip(&breaker);
    assert_eq!(breaker.probe_after(), Some(Duration::from_millis(500)));
}

#[test]
fn verdicts_from_before_a_command_are_ignored() {
    let (breaker, _) = breaker(config());
    let late = breaker.acquire().unwrap();
    breaker.force_closed();
    late.failure(FAST);
    assert_eq!(breaker.snapshot().failed, 0);
}

#[test]
fn listeners_hear_every_change_in_order_and_may_use_the_breaker() {
    let (breaker, clock) = breaker(config());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, own) = (Arc::clone(&heard), breaker.clone());
    breaker.on_transition(move |transition| {
        assert_eq!(own.snapshot().transitions, transition.sequence);
        log.lock().unwrap().push((transition.from.as_str(), transition.to.as_str(), transition.reason));
    });
    trip(&breaker);
    recover(&breaker, &clock);
    clock.advance(Duration::from_secs(3));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.disable();
    assert_eq!(
        *heard.lock().unwrap(),
        [
            ("closed", "open", TransitionReason::ConsecutiveFailures),
            ("open", "half_open", TransitionReason::ProbeDue),
            ("half_open", "ramping", TransitionReason::Recovered),
            ("ramping", "closed", TransitionReason::RampComplete),
            ("closed", "disabled", TransitionReason::Operator),
        ]
    );
}

#[test]
fn many_failures_at_once_open_it_once() {
    let (breaker, _) = breaker(config());
    let permits: Vec<_> = (0..64).map(|_| breaker.acquire().unwrap()).collect();
    std::thread::scope(|scope| {
        for permit in permits {
            scope.spawn(move || permit.failure(FAST));
        }
    });
    assert_eq!(breaker.snapshot().transitions, 1);
}
