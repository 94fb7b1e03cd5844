//! Every algorithm against a log of all units, and against the bound it promises.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::{Wait, exact::Log, fast::Pair, smooth::Level, window::Buckets};
use crate::{Algorithm, Quota};

/// What really happened: when each unit was taken, in milliseconds.
#[derive(Default)]
struct History {
    times: Vec<u64>,
}

/// One call: how long after the one before, and how many units.
type Call = (u64, u64);

enum Counted {
    Log(Log),
    Buckets(Buckets),
    Level(Level),
    Pair(Pair),
}

// === impl History ===

impl History {
    /// The most units in any interval of this length.
    fn most_in(&self, length: u64) -> u64 {
        let mut first = 0;
        let mut most = 0;
        for last in 0..self.times.len() {
            while self.times[last] - self.times[first] >= length {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most as u64
    }

    fn take(&mut self, now: u64, units: u64) {
        self.times.extend((0..units).map(|_| now));
    }
}

// === impl Counted ===

impl Counted {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Exact => Self::Log(Log::default()),
            Algorithm::Window => Self::Buckets(Buckets::default()),
            Algorithm::Smooth => Self::Level(Level::default()),
            _ => Self::Pair(Pair::default()),
        }
    }

    fn wait(&self, quota: &Quota, now: u64, units: u64) -> Wait {
        match self {
            Self::Log(log) => log.wait(quota, now, units),
            Self::Buckets(buckets) => buckets.wait(quota, now, units),
            Self::Level(level) => level.wait(quota, now * 1_000, units),
            Self::Pair(pair) => pair.wait(quota, now, units),
        }
    }

    fn add(&mut self, quota: &Quota, now: u64, units: u64) {
        match self {
            Self::Log(log) => drop(log.add(quota, now, units)),
            Self::Buckets(buckets) => drop(buckets.add(quota, now, units)),
            Self::Level(level) => drop(level.add(quota, now * 1_000, units)),
            Self::Pair(pair) => pair.add(quota, now, units),
        }
    }

    fn remaining(&self, quota: &Quota, now: u64) -> u64 {
        match self {
            Self::Log(log) => log.room(quota, now).remaining,
            Self::Buckets(buckets) => buckets.room(quota, now).remaining,
            Self::Level(level) => level.room(quota, now * 1_000).remaining,
            Self::Pair(pair) => pair.room(quota, now).remaining,
        }
    }
}

/// What is admitted of some calls, which are checked on the way.
fn admitted(algorithm: Algorithm, quota: &Quota, calls: &[Call]) -> History {
    let (mut counted, mut history, mut now) = (Counted::new(algorithm), History::default(), 10_000_000);
    for &(pause, units) in calls {
        now += pause;
        let wait = counted.wait(quota, now, units);
        assert_eq!(wait == Wait::No, counted.remaining(quota, now) >= units, "what remains is what may be taken");
        match wait {
            Wait::No => {
                counted.add(quota, now, units);
                history.take(now, units);
            }
            // The time that is told is the first at which there is room.
            Wait::Millis(wait) => {
                assert_ne!(counted.wait(quota, now + wait - 1, units), Wait::No, "a millisecond before");
                assert_eq!(counted.wait(quota, now + wait, units), Wait::No, "after {wait} ms");
            }
            Wait::Forever => assert!(units > quota.burst()),
        }
    }
    history
}

fn quota(limit: u64, window: u64) -> Quota {
    Quota::new(limit, Duration::from_millis(window))
}

fn calls(window: u64) -> impl Strategy<Value = Vec<Call>> {
    // Bursts, and pauses up to more than a window.
    let pause = prop_oneof![4 => Just(0), 4 => 0..=window / 20, 1 => 0..=window + window / 4];
    prop::collection::vec((pause, prop_oneof![5 => Just(1_u64), 1 => 1_u64..8]), 1..400)
}

fn cases() -> impl Strategy<Value = (u64, u64, Vec<Call>)> {
    (1_u64..60, prop_oneof![Just(8_u64), Just(1_000), 9_u64..100_000])
        .prop_flat_map(|(limit, window)| calls(window).prop_map(move |calls| (limit, window, calls)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn exact_never_admits_more_than_the_limit_in_any_window((limit, window, calls) in cases()) {
        let history = admitted(Algorithm::Exact, &quota(limit, window), &calls);
        prop_assert!(history.most_in(window) <= limit);
    }

    #[test]
    fn window_never_admits_more_than_its_bound((limit, window, calls) in cases()) {
        let history = admitted(Algorithm::Window, &quota(limit, window), &calls);
        // Parts of windows that eight does not divide begin at whole milliseconds.
        prop_assert!(history.most_in((window * 7 / 8).max(1)) <= limit, "in seven eighths");
        prop_assert!(history.most_in(window) < 2 * limit || limit == 1, "in a window");
    }

    #[test]
    fn smooth_never_admits_more_than_burst_and_flow((limit, window, calls) in cases(), burst in 1_u64..20) {
        let quota = Quota { burst: Some(burst), algorithm: Algorithm::Smooth, ..quota(limit, window) };
        let history = admitted(Algorithm::Smooth, &quota, &calls);
        for time in [1, window / 2, window, 3 * window] {
            // An interval of so many milliseconds, of which the last has not begun.
            prop_assert!(history.most_in(time) <= burst + limit * time / window + 1, "in {time} ms");
        }
    }

    #[test]
    fn fast_never_admits_more_than_its_bound((limit, window, calls) in cases()) {
        let history = admitted(Algorithm::Fast, &quota(limit, window), &calls);
        for time in [1, window / 3, window / 2, window] {
            prop_assert!(history.most_in(time) <= limit + (limit * time).div_ceil(window), "in {time} ms");
        }
    }
}

#[test]
fn a_million_decisions_of_exact_are_those_of_a_log_of_everything() {
    let mut random = StdRng::seed_from_u64(7);
    let mut mismatches = 0;
    for round in 0..100_u64 {
        let quota = quota(1 + random.random_range(0..200), 8 + random.random_range(0..5_000));
        let (mut log, mut all, mut now) = (Log::default(), VecDeque::<u64>::new(), 1_000_000_u64);
        for _ in 0..10_000 {
            now += random.random_range(0..=1 + quota.window_ms() * (round % 7) / 300);
            // Now and then the clock is set back; a log of everything stands still then.
            let told = if random.random_bool(0.01) { now - random.random_range(0..=50) } else { now };
            let units = if random.random_bool(0.2) { random.random_range(1..=quota.limit) } else { 1 };
            let seen = told.max(all.back().copied().unwrap_or(0));
            // What may count again when the clock is set back stays.
            while all.front().is_some_and(|at| at + quota.window_ms() + 50 <= seen) {
                all.pop_front();
            }
            let living = all.iter().filter(|at| *at + quota.window_ms() > seen).count() as u64;
            let is_allowed = living + units <= quota.limit;
            mismatches += u32::from(is_allowed != (log.wait(&quota, told, units) == Wait::No));
            if is_allowed {
                all.extend((0..units).map(|_| seen));
                log.add(&quota, told, units);
            }
        }
    }
    assert_eq!(mismatches, 0);
}

#[test]
fn near_the_limit_eight_parts_are_far_closer_than_two_counters() {
    let quota = quota(100, 60_000);
    let mut random = StdRng::seed_from_u64(11);
    // A Poisson flow of 95 in a window.
    let calls: Vec<Call> = (0..40_000)
        .map(|_| {
            let uniform = f64::from(random.next_u32().max(1)) / f64::from(u32::MAX);
            ((-uniform.ln() * 60_000.0 / 95.0) as u64, 1)
        })
        .collect();
    let kept = |algorithm| admitted(algorithm, &quota, &calls);
    let [exact, window, fast] = [Algorithm::Exact, Algorithm::Window, Algorithm::Fast].map(kept);
    let overshoot = |history: &History| history.most_in(60_000) as f64 / 100.0;
    assert!(overshoot(&exact) <= 1.0);
    assert!(overshoot(&window) < overshoot(&fast), "{} and {}", overshoot(&window), overshoot(&fast));
    let difference = exact.times.len().abs_diff(window.times.len()) as f64 / exact.times.len() as f64;
    assert!(difference < 0.02, "{difference}");
}
