//! The breaker against a model that is slow, single-threaded and obvious.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;
use trackside_resilience::{BackoffConfig, BreakerConfig, BreakerState, Jitter, Permit, ProbePermit};

use crate::support::breaker;

const WINDOW_MS: u64 = 1_000;
const RAMP_MS: u64 = 300;
const PROBE_TIMEOUT_MS: u64 = 200;
const SLOW_MS: u64 = 50;

fn config() -> BreakerConfig {
    BreakerConfig {
        window: Duration::from_millis(WINDOW_MS),
        failure_rate: 0.5,
        minimum_calls: 6,
        consecutive_failures: 4,
        slow_call: Duration::from_millis(SLOW_MS),
        slow_call_rate: 0.7,
        open_backoff: BackoffConfig {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_millis(350),
            jitter: Jitter::None,
        },
        half_open_permits: 2,
        probe_timeout: Duration::from_millis(PROBE_TIMEOUT_MS),
        ramp: Duration::from_millis(RAMP_MS),
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Ask for a permit and keep it.
    Acquire,
    /// Ask for a probe and keep it.
    Probe,
    /// End the oldest (or newest) permit kept.
    End { newest: bool, verdict: Verdict },
    /// Let time pass.
    Advance(u64),
    /// An operator's command.
    Reset,
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Success { slow: bool },
    Failure { slow: bool },
    Dropped,
}

enum Held<'a> {
    Call(Permit<'a>),
    Probe(ProbePermit<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Closed,
    Open { until: u64 },
    HalfOpen { calls: u32, probing: bool, deadline: u64, succeeded: u32, slow: u32 },
    Ramping { until: u64, asked: u64 },
}

/// A permit as the model sees it.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    period: u64,
    half_open: bool,
    probe: bool,
}

struct Model {
    now: u64,
    phase: Phase,
    /// Grows whenever the results of running calls lose their meaning.
    period: u64,
    /// (slice, failed, slow) of each call counted.
    calls: Vec<(u64, bool, bool)>,
    failures_in_a_row: u32,
    opened_in_a_row: u32,
    closed_at: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            now: 0,
            phase: Phase::Closed,
            period: 0,
            calls: Vec::new(),
            failures_in_a_row: 0,
            opened_in_a_row: 0,
            closed_at: 0,
        }
    }

    fn settle(&mut self) {
        match self.phase {
            Phase::Ramping { until, .. } if until <= self.now => {
                self.phase = Phase::Closed;
                self.closed_at = until;
            }
            Phase::HalfOpen { calls, probing, deadline, .. } if (calls > 0 || probing) && deadline <= self.now => {
                self.open();
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        if self.phase == Phase::Closed && self.now - self.closed_at >= WINDOW_MS {
            self.opened_in_a_row = 0;
        }
        let open_ms = [100, 200, 350][self.opened_in_a_row.min(2) as usize];
        self.opened_in_a_row += 1;
        self.period += 1;
        self.phase = Phase::Open { until: self.now + open_ms };
    }

    fn forget(&mut self) {
        self.calls.clear();
        self.failures_in_a_row = 0;
        self.period += 1;
    }

    fn recover(&mut self) {
        self.forget();
        self.phase = Phase::Ramping { until: self.now + RAMP_MS, asked: 0 };
    }

    fn reset(&mut self) {
        self.forget();
        self.opened_in_a_row = 0;
        self.closed_at = self.now;
        self.phase = Phase::Closed;
    }

    fn half_open_when_due(&mut self) {
        if let Phase::Open { until } = self.phase
            && until <= self.now
        {
            self.period += 1;
            self.phase = Phase::HalfOpen { calls: 0, probing: false, deadline: 0, succeeded: 0, slow: 0 };
        }
    }

    fn acquire(&mut self) -> Option<Ticket> {
        self.settle();
        self.half_open_when_due();
        let half_open = matches!(self.phase, Phase::HalfOpen { .. });
        let granted = match &mut self.phase {
            Phase::Closed => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { calls, probing, deadline, succeeded, .. } => {
                let free = *calls + *succeeded < 2;
                if free && *calls == 0 && !*probing {
                    *deadline = self.now + PROBE_TIMEOUT_MS;
                }
                *calls += u32::from(free);
                free
            }
            Phase::Ramping { until, asked } => {
                let every = [20, 4, 2][((RAMP_MS - (*until - self.now)) / (RAMP_MS / 3)) as usize];
                *asked += 1;
                (*asked - 1) % every == 0
            }
        };
        granted.then_some(Ticket { period: self.period, half_open, probe: false })
    }

    fn probe(&mut self) -> Option<Ticket> {
        self.settle();
        self.half_open_when_due();
        let Phase::HalfOpen { calls, probing, deadline, .. } = &mut self.phase else { return None };
        if *probing {
            return None;
        }
        if *calls == 0 {
            *deadline = self.now + PROBE_TIMEOUT_MS;
        }
        *probing = true;
        Some(Ticket { period: self.period, half_open: true, probe: true })
    }

    fn end(&mut self, ticket: Ticket, verdict: Verdict) {
        if ticket.period != self.period {
            return;
        }
        match (verdict, ticket.half_open) {
            (Verdict::Dropped, false) => {}
            (Verdict::Success { slow }, false) => self.count(false, slow),
            (Verdict::Failure { slow }, false) => self.count(true, slow),
            (Verdict::Failure { .. }, true) => self.open(),
            (verdict, true) => self.end_half_open(ticket, verdict),
        }
    }

    fn end_half_open(&mut self, ticket: Ticket, verdict: Verdict) {
        let Phase::HalfOpen { calls, probing, succeeded, slow, .. } = &mut self.phase else {
            unreachable!("the period would have ended")
        };
        match (verdict, ticket.probe) {
            (Verdict::Success { .. }, true) => self.recover(),
            (_, true) => *probing = false,
            (Verdict::Success { slow: was_slow }, false) => {
                *calls -= 1;
                *succeeded += 1;
                *slow += u32::from(was_slow);
                if *succeeded == 2 {
                    // 0.7 of two calls: both.
                    if *slow == 2 { self.open() } else { self.recover() }
                }
            }
            (_, false) => *calls -= 1,
        }
    }

    fn count(&mut self, failed: bool, slow: bool) {
        self.calls.push((self.now / (WINDOW_MS / 10), failed, slow));
        self.failures_in_a_row = if failed { self.failures_in_a_row + 1 } else { 0 };
        let (calls, failures, slow_calls) = self.counts();
        let rates = calls >= 6 && (failures * 2 >= calls || slow_calls * 10 >= calls * 7);
        // A fast success never opens the breaker: the rates only fell.
        if (failed || slow) && (self.failures_in_a_row >= 4 || rates) {
            self.open();
        }
    }

    fn counts(&self) -> (usize, usize, usize) {
        let oldest = (self.now / (WINDOW_MS / 10)).saturating_sub(9);
        let inside = || self.calls.iter().filter(|(slice, ..)| *slice >= oldest);
        (
            inside().count(),
            inside().filter(|(_, failed, _)| *failed).count(),
            inside().filter(|(_, _, slow)| *slow).count(),
        )
    }

    fn state(&mut self) -> BreakerState {
        self.settle();
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } => {
                BreakerState::Open { retry_after: Duration::from_millis(until.saturating_sub(self.now)) }
            }
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Ramping { .. } => BreakerState::Ramping,
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![
        3 => any::<bool>().prop_map(|slow| Verdict::Success { slow }),
        3 => any::<bool>().prop_map(|slow| Verdict::Failure { slow }),
        1 => Just(Verdict::Dropped),
    ];
    let step = prop_oneof![
        8 => Just(Step::Acquire),
        2 => Just(Step::Probe),
        8 => (any::<bool>(), verdict).prop_map(|(newest, verdict)| Step::End { newest, verdict }),
        3 => (1_u64..160).prop_map(Step::Advance),
        1 => (160_u64..1_500).prop_map(Step::Advance),
    ];
    // Resets are rare, or long histories would never arise.
    let step = prop_oneof![200 => step, 1 => Just(Step::Reset)];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_does_what_the_model_does(steps in steps()) {
        let (breaker, clock) = breaker(config());
        let mut model = Model::new();
        let mut held = VecDeque::new();
        for step in steps {
            match step {
                Step::Acquire => {
                    let (real, expected) = (breaker.acquire().ok(), model.acquire());
                    prop_assert_eq!(real.is_some(), expected.is_some());
                    held.extend(real.map(Held::Call).zip(expected));
                }
                Step::Probe => {
                    let (real, expected) = (breaker.probe(), model.probe());
                    prop_assert_eq!(real.is_some(), expected.is_some());
                    held.extend(real.map(Held::Probe).zip(expected));
                }
                Step::End { newest, verdict } => {
                    let Some((real, ticket)) = (if newest { held.pop_back() } else { held.pop_front() }) else {
                        continue;
                    };
                    end(real, verdict);
                    model.end(ticket, verdict);
                }
                Step::Advance(ms) => {
                    clock.advance(Duration::from_millis(ms));
                    model.now += ms;
                }
                Step::Reset => {
                    breaker.reset();
                    model.reset();
                }
            }
            prop_assert_eq!(breaker.state(), model.state());
            let (snapshot, counts) = (breaker.snapshot(), model.counts());
            prop_assert_eq!((snapshot.calls as usize, snapshot.failed as usize, snapshot.slow as usize), counts);
        }
    }
}

fn end(held: Held<'_>, verdict: Verdict) {
    let elapsed = |slow| Duration::from_millis(if slow { SLOW_MS + 1 } else { SLOW_MS });
    match (held, verdict) {
        (Held::Call(permit), Verdict::Success { slow }) => permit.success(elapsed(slow)),
        (Held::Call(permit), Verdict::Failure { slow }) => permit.failure(elapsed(slow)),
        (Held::Probe(probe), Verdict::Success { .. }) => probe.success(),
        (Held::Probe(probe), Verdict::Failure { .. }) => probe.failure(),
        (_, Verdict::Dropped) => {}
    }
}
