//! Exponential backoff: how long to wait before the next attempt.
//!
//! Jitter keeps many processes that failed together from trying again together; the kinds are those of
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

/// The shape of a backoff: `initial × factor^attempt`, at most `max`, then jitter.
///
/// ```
/// use std::time::Duration;
/// use trackside_resilience::{BackoffConfig, Jitter};
///
/// let backoff = BackoffConfig { jitter: Jitter::Proportional(0.5), ..BackoffConfig::default() };
/// assert_eq!(backoff.delay(0, 0.5), Duration::from_millis(500));
/// assert_eq!(backoff.delay(1, 0.5), Duration::from_secs(1));
/// assert_eq!(backoff.delay(1, 0.0), Duration::from_millis(500));
/// assert_eq!(backoff.delay(99, 0.5), Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffConfig {
    /// The delay before the first repetition.
    pub initial: Duration,
    /// By how much each delay is longer than the one before. Below 1 it is taken as 1.
    pub factor: f64,
    /// The longest delay, before jitter.
    pub max: Duration,
    /// How the delays of several processes are spread.
    pub jitter: Jitter,
}

/// How a delay `d` is spread.
///
/// ```
/// use std::time::Duration;
/// use trackside_resilience::{BackoffConfig, Jitter};
///
/// let full = BackoffConfig { jitter: Jitter::Full, ..BackoffConfig::default() };
/// assert_eq!(full.delay(0, 0.0), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// Always `d`.
    None,
    /// Between 0 and `d`.
    Full,
    /// Between `d/2` and `d`.
    Equal,
    /// Between `d × (1 − p)` and `d × (1 + p)`; `p` is kept within 0 and 1.
    Proportional(f64),
}

/// A backoff in use: counts the attempts and draws the random part.
///
/// ```
/// use std::time::Duration;
/// use trackside_resilience::{Backoff, BackoffConfig, Jitter};
///
/// let mut backoff = Backoff::new(BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() });
/// assert_eq!(backoff.next_delay(), Duration::from_millis(500));
/// assert_eq!(backoff.next_delay(), Duration::from_secs(1));
/// backoff.reset();
/// assert_eq!(backoff.next_delay(), Duration::from_millis(500));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    config: BackoffConfig,
    /// Delays handed out since the last reset.
    attempt: u32,
}

// === impl BackoffConfig ===

impl BackoffConfig {
    /// The delay before repetition number `attempt` (the first is 0), where `unit_random` in `0.0..=1.0` decides the
    /// jitter. A pure function: the caller brings the randomness.
    #[must_use]
    pub fn delay(&self, attempt: u32, unit_random: f64) -> Duration {
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let delay = grown.min(self.max.as_secs_f64());
        let unit = unit_random.clamp(0.0, 1.0);
        let spread = match self.jitter {
            Jitter::None => delay,
            Jitter::Full => delay * unit,
            Jitter::Equal => delay * (0.5 + unit / 2.0),
            Jitter::Proportional(part) => delay * (1.0 + part.clamp(0.0, 1.0) * (2.0 * unit - 1.0)),
        };
        Duration::try_from_secs_f64(spread).unwrap_or(self.max)
    }
}

impl Default for BackoffConfig {
    /// 0.5 s, doubling to 10 s, ±50 %.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            factor: 2.0,
            max: Duration::from_secs(10),
            jitter: Jitter::Proportional(0.5),
        }
    }
}

// === impl Backoff ===

impl Backoff {
    /// Starts at the initial delay.
    #[must_use]
    pub const fn new(config: BackoffConfig) -> Self {
        Self { config, attempt: 0 }
    }

    /// The next delay, longer than the last one until the maximum is reached.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.config.delay(self.attempt, rand::random());
        self.attempt = self.attempt.saturating_add(1);
        delay
    }

    /// Starts again at the initial delay, after a success.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many delays were handed out since the start or the last reset.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }
}
