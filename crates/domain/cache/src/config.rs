//! Settings of the cache.

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use crate::{NamespaceName, Policy};

/// What namespaces there are, and how the process keeps up with the others.
///
/// ```
/// let config = trackside_cache::Config::default();
/// assert_eq!(config.default_policy.ttl.as_secs(), 300);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The policy of each namespace that has one of its own.
    pub namespaces: BTreeMap<NamespaceName, Policy>,
    /// The policy of every other namespace.
    pub default_policy: Policy,
    /// Namespaces that one process may use, so that nobody fills its memory by inventing names. 256.
    pub max_namespaces: NonZeroUsize,
    /// Values longer than this many bytes are stored compressed. 4 KiB.
    pub compress_above: usize,
    /// Bytes that the store in memory keeps, the oldest entries making room. 256 MiB.
    pub memory_bytes: usize,
    /// How often it is made sure that changes are heard: copies in the process are known to be current up to the last time.
    /// It must be below every bound of a namespace. 1 s.
    pub mark_every: Duration,
    /// While the store is away: changes that are remembered. 10 000.
    pub remembered: NonZeroUsize,
    /// How often remembered changes are tried again. 250 ms.
    pub retry: Duration,
    /// How often entries without a TTL are looked for. 10 min.
    pub sweep_every: Duration,
    /// The pause after each 256 names that a sweep looks at. 50 ms.
    pub sweep_pause: Duration,
    /// How often it is looked whether the namespaces are within their bounds. 5 s.
    pub watch_every: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        let at_least_one = |value: usize| NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN);
        Self {
            namespaces: BTreeMap::new(),
            default_policy: Policy::default(),
            max_namespaces: at_least_one(256),
            compress_above: 4 * 1024,
            memory_bytes: 256 * 1024 * 1024,
            mark_every: Duration::from_secs(1),
            remembered: at_least_one(10_000),
            retry: Duration::from_millis(250),
            sweep_every: Duration::from_secs(600),
            sweep_pause: Duration::from_millis(50),
            watch_every: Duration::from_secs(5),
        }
    }
}
