//! Settings of agent control.

use std::time::Duration;

/// How closely the brake is watched.
///
/// ```
/// let config = trackside_control::Config::default();
/// assert_eq!(config.reread.as_secs(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often the state is read again although no message came: the longest time for which a lost message is lost. 3 s.
    pub reread: Duration,
    /// How often the bus is tried while it is away. 500 ms.
    pub retry: Duration,
    /// How long the last status of an agent is kept. 24 h.
    pub status_ttl: Duration,
    /// How long the reports about stopped tasks are kept. 24 h.
    pub report_ttl: Duration,
    /// How long a task may take to stop before it counts as disobeying. 5 s.
    pub obey_within: Duration,
    /// JSON text of one status at most. 64 KiB.
    pub max_status_bytes: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            reread: Duration::from_secs(3),
            retry: Duration::from_millis(500),
            status_ttl: DAY,
            report_ttl: DAY,
            obey_within: Duration::from_secs(5),
            max_status_bytes: 64 * 1024,
        }
    }
}
