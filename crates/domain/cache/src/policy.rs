//! How a namespace treats its entries.

use std::time::Duration;

use crate::{Bounds, KeyLayout};

/// How old an answer may be.
///
/// ```
/// use std::time::Duration;
/// use trackside_cache::Freshness;
/// let second = Duration::from_secs(1);
/// assert_eq!(Freshness::Strict.behind(), Duration::ZERO);
/// assert_eq!(Freshness::Bounded { by: second }.in_failure(), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Every read asks the store, and there is no copy in the process.
    Strict,
    /// Copies in the process are told of every change; one that may have missed a change is served for so long at most.
    Bounded {
        /// How far behind the store an answer may be, whatever fails.
        by: Duration,
    },
    /// The same, and while store or loader fail, what is stale is better than nothing.
    StaleAllowed {
        /// How far behind the store an answer may be while everything works.
        by: Duration,
        /// How much longer than its TTL, and how much further behind, while something fails.
        in_failure: Duration,
    },
}

/// How a namespace treats its entries.
///
/// ```
/// use std::time::Duration;
/// use trackside_cache::{Freshness, Policy};
/// let policy = Policy { ttl: Duration::from_secs(60), freshness: Freshness::Strict, ..Policy::default() };
/// assert_eq!(policy.max_value_bytes, 1_048_576);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How long an entry is fresh, where the writer does not say. 300 s.
    pub ttl: Duration,
    /// The part of the TTL by which it is shortened at random, so that entries made together do not end together. 0.1.
    pub ttl_jitter: f64,
    /// How long it is remembered that a loader found nothing; zero remembers nothing. 30 s.
    pub null_ttl: Duration,
    /// How old an answer may be. 30 s behind, and 10 min more while something fails.
    pub freshness: Freshness,
    /// The part of its life after which an entry that is read is loaded anew in the background; 1 or more is never. 0.8.
    pub eager_at: f64,
    /// How long a caller waits for a loader when there is something stale to answer with. 100 ms.
    pub soft_timeout: Duration,
    /// How long a loader may take. 5 s.
    pub load_timeout: Duration,
    /// How long after its process died another one may load instead: the lease of a loader, which is renewed while it runs.
    /// 2 s.
    pub lease: Duration,
    /// How long a failed loader is left alone while there is something stale to answer with. 30 s.
    pub throttle: Duration,
    /// The largest value. 1 MiB.
    pub max_value_bytes: usize,
    /// Memory for copies in the process. 16 MiB.
    pub local_bytes: usize,
    /// What its reads should stay within, so that nobody is alerted.
    pub bounds: Bounds,
    /// The names of the entries in the store, where they are not `cache:<namespace>:<key>`.
    pub layout: Option<KeyLayout>,
}

// === impl Freshness ===

impl Freshness {
    /// How far behind the store an answer may be while everything works.
    #[must_use]
    pub const fn behind(self) -> Duration {
        match self {
            Self::Strict => Duration::ZERO,
            Self::Bounded { by } | Self::StaleAllowed { by, .. } => by,
        }
    }

    /// How much more is allowed while something fails.
    #[must_use]
    pub const fn in_failure(self) -> Duration {
        match self {
            Self::StaleAllowed { in_failure, .. } => in_failure,
            _ => Duration::ZERO,
        }
    }
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            ttl_jitter: 0.1,
            null_ttl: Duration::from_secs(30),
            freshness: Freshness::StaleAllowed { by: Duration::from_secs(30), in_failure: Duration::from_secs(600) },
            eager_at: 0.8,
            soft_timeout: Duration::from_millis(100),
            load_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(2),
            throttle: Duration::from_secs(30),
            max_value_bytes: 1024 * 1024,
            local_bytes: 16 * 1024 * 1024,
            bounds: Bounds::default(),
            layout: None,
        }
    }
}
