//! Counts of a namespace, cheap enough for the hit that costs fifty nanoseconds.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Times from below 2 µs to above 2^22 µs, each class twice as long.
const CLASSES: usize = 23;

/// How many calls took how long, class by class.
pub(crate) type TimeCounts = [u64; CLASSES];

/// What happened in a namespace since the process started.
///
/// ```
/// let stats = trackside_cache::NamespaceStats { local_hits: 3, misses: 1, ..Default::default() };
/// assert_eq!(stats.hit_ratio(), Some(0.75));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamespaceStats {
    /// The namespace.
    pub namespace: String,
    /// Reads that were answered in the process.
    pub local_hits: u64,
    /// Reads that the store answered.
    pub store_hits: u64,
    /// Reads that found nothing.
    pub misses: u64,
    /// Reads that were answered with something stale, because store or loader failed or took long.
    pub stale: u64,
    /// Loaders that ran here.
    pub loads: u64,
    /// Loaders that failed or took too long.
    pub load_errors: u64,
    /// Calls that the store failed.
    pub errors: u64,
    /// Changes that were written.
    pub writes: u64,
    /// Changes that were remembered because the store was away.
    pub remembered: u64,
    /// Copies in the process.
    pub local_entries: u64,
    /// Their bytes.
    pub local_bytes: u64,
    /// Entries in the store, as the last whole sweep saw them.
    pub store_entries: Option<u64>,
    /// Bytes of their values.
    pub store_bytes: Option<u64>,
    /// How long the store takes: half of the calls, and 99 of 100; to a factor of two.
    pub store_p50: Option<Duration>,
    /// 99 of 100 calls.
    pub store_p99: Option<Duration>,
    /// How long loaders take: 99 of 100.
    pub load_p99: Option<Duration>,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) local_hits: Count,
    pub(crate) store_hits: Count,
    pub(crate) misses: Count,
    pub(crate) stale: Count,
    pub(crate) loads: Count,
    pub(crate) load_errors: Count,
    pub(crate) errors: Count,
    pub(crate) writes: Count,
    pub(crate) remembered: Count,
    pub(crate) store_times: Times,
    pub(crate) load_times: Times,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

/// How often something took how long.
#[derive(Debug, Default)]
pub(crate) struct Times([AtomicU64; CLASSES]);

// === impl NamespaceStats ===

impl NamespaceStats {
    /// The part of the reads that found something, 0 to 1; `None` without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people and alerts")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let hits = self.local_hits + self.store_hits + self.stale;
        let reads = hits + self.misses;
        (reads > 0).then(|| hits as f64 / reads as f64)
    }
}

// === impl Count ===

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Times ===

impl Times {
    pub(crate) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let class = usize::try_from(micros.ilog2()).unwrap_or_default().min(CLASSES - 1);
        if let Some(count) = self.0.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> TimeCounts {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// The time that this many of a hundred stayed below; `None` when nothing was counted.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        percentile(&self.counts(), percent)
    }
}

/// The time that this many of a hundred stayed below; `None` when nothing was counted.
pub(crate) fn percentile(counts: &TimeCounts, percent: u64) -> Option<Duration> {
    let wanted = (counts.iter().sum::<u64>() * percent).div_ceil(100);
    let mut seen = 0;
    let class = counts.iter().position(|count| {
        seen += count;
        wanted > 0 && seen >= wanted
    })?;
    Some(Duration::from_micros(2 << class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_true_to_a_factor_of_two() {
        let times = Times::default();
        assert_eq!(times.percentile(50), None);
        for micros in [1, 100, 100, 100, 100, 100, 100, 100, 100, 50_000] {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.percentile(50), Some(Duration::from_micros(128)));
        assert_eq!(times.percentile(99), Some(Duration::from_micros(65_536)));
        times.add(Duration::MAX);
        assert!(times.percentile(100).is_some());
    }
}
