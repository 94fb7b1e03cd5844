//! Delays grow, stop growing, and are spread as promised.

use std::time::Duration;

use proptest::prelude::*;
use trackside_resilience::{Backoff, BackoffConfig, Jitter};

#[test]
fn delays_double_up_to_the_maximum() {
    let mut backoff = Backoff::new(BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() });
    let delays: Vec<_> = (0..7).map(|_| backoff.next_delay().as_millis()).collect();
    assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    assert_eq!(backoff.attempts(), 7);
    backoff.reset();
    assert_eq!(backoff.next_delay().as_millis(), 500);
}

#[test]
fn nonsense_gives_the_longest_delay_and_never_a_panic() {
    let endless = BackoffConfig { initial: Duration::MAX, max: Duration::MAX, ..BackoffConfig::default() };
    assert_eq!(endless.delay(u32::MAX, 1.0), Duration::MAX);
    let shrinking = BackoffConfig { factor: f64::NAN, jitter: Jitter::None, ..BackoffConfig::default() };
    assert_eq!(shrinking.delay(50, 0.5), shrinking.initial);
    let undefined = BackoffConfig { jitter: Jitter::Proportional(f64::NAN), ..BackoffConfig::default() };
    assert_eq!(undefined.delay(0, 0.5), undefined.max);
}

proptest! {
    #[test]
    fn every_jitter_stays_within_its_bounds(attempt in 0_u32..64, unit in 0.0_f64..=1.0, part in 0.0_f64..=1.0) {
        let with = |jitter| BackoffConfig { jitter, ..BackoffConfig::default() }.delay(attempt, unit).as_secs_f64();
        let plain = with(Jitter::None);
        let within = |delay: f64, low: f64, high: f64| delay >= low - 1e-9 && delay <= high + 1e-9;
        prop_assert!(within(with(Jitter::Full), 0.0, plain));
        prop_assert!(within(with(Jitter::Equal), plain / 2.0, plain));
        prop_assert!(within(with(Jitter::Proportional(part)), plain * (1.0 - part), plain * (1.0 + part)));
    }
}
