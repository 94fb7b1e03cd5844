//! Settings of progress.

use std::{num::NonZeroUsize, time::Duration};

/// How progress is kept, thinned out and buffered.
///
/// ```
/// let config = trackside_progress::Config::default();
/// assert_eq!(config.history.get(), 512);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// An operation that has not ended is forgotten this long after its last update. 24 h.
    pub ttl: Duration,
    /// An operation that has ended is forgotten after this time. 1 h.
    pub ttl_after_end: Duration,
    /// At least this many of the newest events of an operation are kept for clients that come back. 512.
    pub history: NonZeroUsize,
    /// Every so many events carry the whole state. 16.
    pub keyframe_every: NonZeroUsize,
    /// A change of the percentage alone is written when this time has passed since the last event, … 50 ms.
    pub coalesce_for: Duration,
    /// … or when it moved by at least so many points. 1.
    pub coalesce_percent: f64,
    /// Steps of one operation at most. 256.
    pub max_steps: usize,
    /// JSON text of one event at most. 64 KiB.
    pub max_event_bytes: usize,
    /// While the store is away: updates kept per operation, the oldest dropped first, the end never. 256.
    pub buffered_updates: NonZeroUsize,
    /// Operations whose state this process remembers between updates. 10 000.
    pub writers: NonZeroUsize,
    /// How often the store is tried while it is away. 500 ms.
    pub retry: Duration,
    /// How often a silent stream looks into the store by itself, so that no lost message is lost for long. 15 s.
    pub recheck: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        let at_least_one = |value: usize| NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN);
        Self {
            ttl: HOUR * 24,
            ttl_after_end: HOUR,
            history: at_least_one(512),
            keyframe_every: at_least_one(16),
            coalesce_for: Duration::from_millis(50),
            coalesce_percent: 1.0,
            max_steps: 256,
            max_event_bytes: 64 * 1024,
            buffered_updates: at_least_one(256),
            writers: at_least_one(10_000),
            retry: Duration::from_millis(500),
            recheck: Duration::from_secs(15),
        }
    }
}
