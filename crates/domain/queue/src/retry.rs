//! How long a failed task waits before its next attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a failed task waits before its next attempt.
///
/// ```
/// use std::time::Duration;
/// use trackside_queue::RetryPolicy;
/// let policy = RetryPolicy::default();
/// // Full jitter: anywhere between nothing and the bound, which doubles with each attempt.
/// assert_eq!(policy.delay(1, 1.0), Duration::from_secs(1));
/// assert_eq!(policy.delay(3, 1.0), Duration::from_secs(4));
/// assert_eq!(policy.delay(3, 0.0), Duration::ZERO);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RetryPolicy {
    /// `base_ms · 2^(attempt − 1)`, at most `max_ms`, times a random number from 0 to 1 (full jitter).
    Exponential {
        /// Bound of the first delay.
        base_ms: u64,
        /// Bound of every delay.
        max_ms: u64,
    },
    /// Always the same.
    Fixed {
        /// The delay.
        delay_ms: u64,
    },
    /// One delay per attempt; the last one repeats.
    List {
        /// The delays, in the order of the attempts; an empty list retries at once.
        delays_ms: Vec<u64>,
    },
}

// === impl RetryPolicy ===

impl RetryPolicy {
    /// The wait after failed attempt number `attempt` (from 1); `unit_random` is from 0 to 1.
    #[must_use]
    pub fn delay(&self, attempt: u32, unit_random: f64) -> Duration {
        let attempt = attempt.max(1);
        let millis = match self {
            Self::Exponential { base_ms, max_ms } => {
                let factor = 2_u64.saturating_pow((attempt - 1).min(62));
                let bound = base_ms.saturating_mul(factor).min(*max_ms);
                return Duration::from_millis(bound).mul_f64(unit_random.clamp(0.0, 1.0));
            }
            Self::Fixed { delay_ms } => *delay_ms,
            Self::List { delays_ms } => {
                let index = usize::try_from(attempt - 1).unwrap_or(usize::MAX).min(delays_ms.len().saturating_sub(1));
                delays_ms.get(index).copied().unwrap_or(0)
            }
        };
        Duration::from_millis(millis)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::Exponential { base_ms: 1_000, max_ms: 60_000 }
    }
}
