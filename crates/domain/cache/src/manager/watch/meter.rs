//! What happened in a namespace in the last minute.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::manager::{Space, stats::TimeCounts};

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(60);

/// Samples of the counters of a namespace, oldest first.
#[derive(Debug, Default)]
pub(super) struct Meter(VecDeque<(Instant, Sample)>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) store_times: TimeCounts,
}

// === impl Meter ===

impl Meter {
    pub(super) fn add(&mut self, at: Instant, sample: Sample) {
        self.0.push_back((at, sample));
        while self.0.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// What happened in the window.
    pub(super) fn lately(&self) -> Sample {
        match (self.0.front(), self.0.back()) {
            (Some((_, first)), Some((_, last))) => last.since(first),
            _ => Sample::default(),
        }
    }
}

// === impl Sample ===

impl Sample {
    pub(super) fn of(space: &Space) -> Self {
        let stats = &space.stats;
        let hits = stats.local_hits.get() + stats.store_hits.get() + stats.stale.get();
        Self { hits, misses: stats.misses.get(), store_times: stats.store_times.counts() }
    }

    fn since(&self, before: &Self) -> Self {
        let mut store_times = self.store_times;
        for (count, before) in store_times.iter_mut().zip(before.store_times) {
            *count -= before;
        }
        Self { hits: self.hits - before.hits, misses: self.misses - before.misses, store_times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(hits: u64, misses: u64) -> Sample {
        let mut store_times = TimeCounts::default();
        store_times[6] = hits;
        Sample { hits, misses, store_times }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_minute_does_not_count() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for n in 0..=30_u64 {
            meter.add(start + Duration::from_secs(5 * n), sample(10 * n, n));
        }
        let lately = meter.lately();
        assert_eq!((lately.hits, lately.misses, lately.store_times[6]), (120, 12, 120));
    }
}
