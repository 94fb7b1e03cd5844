//! The settings of a breaker; every value has a meaning, so there is nothing to refuse.

use std::time::Duration;

use crate::BackoffConfig;

/// When a breaker opens and how it recovers.
///
/// ```
/// use std::time::Duration;
/// use trackside_resilience::BreakerConfig;
///
/// let config = BreakerConfig { slow_call: Duration::from_millis(50), ..BreakerConfig::default() };
/// assert_eq!(config.consecutive_failures, 5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerConfig {
    /// How far back calls are counted, in ten slices that expire one by one. At least 10 ms.
    pub window: Duration,
    /// The part of the window's calls, 0.0 to 1.0, whose failure opens the breaker. Above 1.0: never.
    pub failure_rate: f64,
    /// Rates are looked at only when the window holds this many calls.
    pub minimum_calls: u32,
    /// So many failures without a success between them open the breaker whatever the rates say. 0: never.
    pub consecutive_failures: u32,
    /// A call that takes longer is slow, whether it succeeds or fails.
    pub slow_call: Duration,
    /// The part of the window's calls, 0.0 to 1.0, whose slowness opens the breaker. Above 1.0: never.
    pub slow_call_rate: f64,
    /// How long the breaker stays open: longer each time it opens again before it was closed for a whole window.
    pub open_backoff: BackoffConfig,
    /// How many calls are let through to find out whether the dependency is back; all must succeed. 0: no user call is
    /// ever risked, only [`probe`](crate::CircuitBreaker::probe) closes the breaker, so something must call it.
    pub half_open_permits: u32,
    /// A half-open call or probe without an answer for so long counts as failed, so that a lost one cannot keep the
    /// breaker half-open for ever.
    pub probe_timeout: Duration,
    /// How long the load is raised after a recovery: a third of it each at 5, 25 and 50 % of the calls. Zero: at once.
    pub ramp: Duration,
}

// === impl BreakerConfig ===

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            failure_rate: 0.5,
            minimum_calls: 20,
            consecutive_failures: 5,
            slow_call: Duration::from_millis(250),
            slow_call_rate: 0.8,
            open_backoff: BackoffConfig::default(),
            half_open_permits: 3,
            probe_timeout: Duration::from_secs(5),
            ramp: Duration::from_secs(3),
        }
    }
}
