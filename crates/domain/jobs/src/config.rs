//! Settings of tools and jobs.

use std::{path::Path, time::Duration};

use crate::RunnerConfig;

/// How jobs are run and how long they are remembered.
///
/// ```
/// use std::time::Duration;
/// use trackside_jobs::Config;
/// let config = Config { output_retention: Duration::from_secs(3_600), ..Config::new("/var/lib/trackside") };
/// assert_eq!(config.status_ttl.as_secs(), 600);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// How tools are run, and where.
    pub runner: RunnerConfig,
    /// How long `job:{job_id}:status` lives after it was written last. 600 s.
    pub status_ttl: Duration,
    /// While a job runs, its status is written at most this often for progress alone. 500 ms.
    pub status_every: Duration,
    /// How long the files of a job are kept after its last run began. 7 days.
    pub output_retention: Duration,
    /// How long a finished job stays in the history. 30 days.
    pub history_retention: Duration,
    /// How often unfinished jobs of the history are compared with the queue. 60 s.
    pub reconcile_every: Duration,
    /// How often what is older than its retention is removed. 1 h.
    pub sweep_every: Duration,
}

// === impl Config ===

impl Config {
    /// The defaults, with the files of jobs below `data_folder`.
    #[must_use]
    pub fn new(data_folder: impl AsRef<Path>) -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        Self {
            runner: RunnerConfig::new(data_folder),
            status_ttl: Duration::from_secs(600),
            status_every: Duration::from_millis(500),
            output_retention: HOUR * 24 * 7,
            history_retention: HOUR * 24 * 30,
            reconcile_every: Duration::from_secs(60),
            sweep_every: HOUR,
        }
    }
}
