//! The settings of queues: how long leases last, when a crash is a crash, and what is kept.

use std::{num::NonZeroU32, time::Duration};

use crate::Durability;

/// Settings shared by the manager, the processor and the stores of a program.
///
/// ```
/// use std::time::Duration;
/// use trackside_queue::Config;
/// let config = Config { lease: Duration::from_secs(30), ..Config::default() };
/// assert!(config.renew_every < config.lease);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long a lease lasts, unless the task asks for one of its own: the time after which the work of a dead
    /// worker is handed to another one.
    pub lease: Duration,
    /// How often a worker renews its leases. Three renewals fit into a lease by default, so that two may be lost.
    pub renew_every: Duration,
    /// Leases that may end unsettled before the task goes to the dead letters as a crash loop.
    pub max_crashes: NonZeroU32,
    /// How long the status of a finished task, and a refused repetition of its id, is kept. At least this long: stores
    /// let go of finished tasks in groups.
    pub retention: Duration,
    /// How long an idempotency key answers the task that it named first.
    pub idempotency_ttl: Duration,
    /// How long a dead letter is kept, unless somebody decides about it before.
    pub dead_max_age: Duration,
    /// How many dead letters a queue keeps; the oldest go first.
    pub dead_max_count: u64,
    /// The longest payload or result, in bytes.
    pub max_payload_bytes: usize,
    /// Payloads and results longer than this many bytes are stored compressed.
    pub compress_above: usize,
    /// How safe new tasks are before they are acknowledged, where the request does not say.
    pub durability: Durability,
    /// How long an enqueue waits for that.
    pub durability_timeout: Duration,
    /// A queue that no step reached for longer than this was cut off from its workers, so that leases which ended
    /// meanwhile say nothing about them.
    pub stall_threshold: Duration,
    /// How long leases are kept after such a stall, so that renewals arrive before anyone is called crashed.
    pub stall_grace: Duration,
    /// The longest wait for work without asking the queue itself: what a lost wake-up costs at most.
    pub idle_wait: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            renew_every: Duration::from_secs(3),
            max_crashes: NonZeroU32::new(3).unwrap_or(NonZeroU32::MIN),
            retention: Duration::from_secs(24 * 60 * 60),
            idempotency_ttl: Duration::from_secs(24 * 60 * 60),
            dead_max_age: Duration::from_secs(30 * 24 * 60 * 60),
            dead_max_count: 100_000,
            max_payload_bytes: 256 * 1024,
            compress_above: 4 * 1024,
            durability: Durability::None,
            durability_timeout: Duration::from_secs(1),
            stall_threshold: Duration::from_secs(6),
            stall_grace: Duration::from_secs(3),
            idle_wait: Duration::from_secs(5),
        }
    }
}
