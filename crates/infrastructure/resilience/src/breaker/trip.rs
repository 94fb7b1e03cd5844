//! What is counted, and when the counts open the breaker.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Shared, state::TransitionReason, window::Outcome};

// === impl Shared ===

impl Shared {
    /// A call of the window succeeded.
    #[inline]
    pub(super) fn count_success(&self, generation: u32, elapsed: Duration) {
        if self.load().generation() != generation {
            return;
        }
        if self.consecutive_failures.load(Ordering::Relaxed) != 0 {
            self.consecutive_failures.store(0, Ordering::Relaxed);
        }
        if elapsed > self.config.slow_call {
            let now = self.now_ns();
            self.window.record(now, Outcome::SlowSuccess);
            self.trip_if_due(generation, now);
        } else {
            self.window.succeeded(|| self.now_ns());
        }
    }

    /// A call of the window failed.
    pub(super) fn count_failure(&self, generation: u32, elapsed: Duration) {
        if self.load().generation() != generation {
            return;
        }
        let now = self.now_ns();
        let outcome = if elapsed > self.config.slow_call { Outcome::SlowFailure } else { Outcome::Failure };
        self.window.record(now, outcome);
        self.consecutive_failures.fetch_add(1, Ordering::Relaxed);
        self.trip_if_due(generation, now);
    }

    fn trip_if_due(&self, generation: u32, now: u64) {
        if let Some(reason) = self.trip_reason(now) {
            self.trip(generation, now / 1_000_000, reason);
        }
    }

    fn trip_reason(&self, now: u64) -> Option<TransitionReason> {
        let config = &self.config;
        let limit = config.consecutive_failures;
        if limit != 0 && self.consecutive_failures.load(Ordering::Relaxed) >= limit {
            return Some(TransitionReason::ConsecutiveFailures);
        }
        let counts = self.window.counts(now);
        if counts.calls() < config.minimum_calls {
            return None;
        }
        let reached = |part: u32, rate: f64| part > 0 && f64::from(part) >= rate * f64::from(counts.calls());
        if reached(counts.failed, config.failure_rate) {
            Some(TransitionReason::FailureRate)
        } else if reached(counts.slow, config.slow_call_rate) {
            Some(TransitionReason::SlowCallRate)
        } else {
            None
        }
    }
}
