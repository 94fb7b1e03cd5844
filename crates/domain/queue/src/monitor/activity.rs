//! What went on in a queue during the last minute, from counters that only grow.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::QueueStats;

/// Rates of a queue over about a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueActivity {
    /// The time that the rates are taken over; shorter than a minute when the watch has just begun.
    pub window: Duration,
    /// Tasks accepted in a second.
    pub created_per_s: f64,
    /// Tasks completed in a second.
    pub completed_per_s: f64,
    /// Attempts failed in a second.
    pub failed_per_s: f64,
    /// Attempts that ended, well or not.
    pub attempts: u64,
    /// Of these, those that failed: from 0 to 1.
    pub failure_rate: f64,
}

/// Samples of the counters, oldest first.
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    created: u64,
    completed: u64,
    failed: u64,
}

/// What rates are taken over.
const WINDOW: Duration = Duration::from_secs(60);

// === impl Meter ===

impl Meter {
    pub(super) fn add(&mut self, at: Instant, stats: &QueueStats) {
        let sample =
            Sample { at, created: stats.created, completed: stats.completed, failed: stats.failed + stats.crashed };
        // Counters that fell are another queue's: the store was emptied.
        if self.samples.back().is_some_and(|last| sample.created < last.created) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        while self.samples.get(1).is_some_and(|second| at.duration_since(second.at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    pub(super) fn activity(&self) -> QueueActivity {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return QueueActivity::default();
        };
        let window = last.at.duration_since(first.at);
        if window.is_zero() {
            return QueueActivity::default();
        }
        let grown = |from: u64, to: u64| to.saturating_sub(from);
        let (created, completed) = (grown(first.created, last.created), grown(first.completed, last.completed));
        let failed = grown(first.failed, last.failed);
        let attempts = completed + failed;
        QueueActivity {
            window,
            created_per_s: ratio(created, window.as_secs_f64()),
            completed_per_s: ratio(completed, window.as_secs_f64()),
            failed_per_s: ratio(failed, window.as_secs_f64()),
            attempts,
            failure_rate: if attempts == 0 { 0.0 } else { ratio(failed, ratio(attempts, 1.0)) },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 in a minute does not happen")]
fn ratio(count: u64, by: f64) -> f64 {
    count as f64 / by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(created: u64, completed: u64, failed: u64) -> QueueStats {
        QueueStats { created, completed, failed, ..QueueStats::default() }
    }

    #[test]
    fn rates_are_taken_over_the_last_minute() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        assert_eq!(meter.activity(), QueueActivity::default());
        for n in 0..=20_u64 {
            meter.add(start + Duration::from_secs(5 * n), &stats(50 * n, 30 * n, 10 * n));
        }
        let activity = meter.activity();
        assert_eq!(activity.window, Duration::from_secs(60));
        let rates = (activity.created_per_s, activity.completed_per_s, activity.failed_per_s);
        assert_eq!(rates, (10.0, 6.0, 2.0));
        assert_eq!((activity.attempts, activity.failure_rate), (480, 0.25));
    }

    #[test]
    fn counters_that_begin_anew_do_not_give_negative_rates() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        meter.add(start, &stats(1_000, 900, 0));
        meter.add(start + Duration::from_secs(5), &stats(10, 0, 0));
        meter.add(start + Duration::from_secs(10), &stats(20, 5, 0));
        assert_eq!((meter.activity().created_per_s, meter.activity().completed_per_s), (2.0, 1.0));
    }
}
