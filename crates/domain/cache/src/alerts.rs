//! Alerts: a namespace of this process that misses more, or waits longer for its store, than it should.

use std::time::Duration;

use async_trait::async_trait;
use trackside_core::Timestamp;

use crate::NamespaceName;

/// What a namespace should stay within; a rule without a bound is off. What is looked at is the last minute.
///
/// ```
/// let bounds = trackside_cache::Bounds::default();
/// assert_eq!((bounds.hit_ratio_below, bounds.hit_ratio_reads), (Some(0.2), 1_000));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// The part of the reads that find something, from 0 to 1, below which it alerts; well again 0.05 above it, or half way to
    /// 1 where that is nearer.
    pub hit_ratio_below: Option<f64>,
    /// Reads within a minute below which the hit ratio says nothing.
    pub hit_ratio_reads: u64,
    /// What 99 of 100 calls of the store should take no longer than, to a factor of two; well again at half of it.
    pub latency_above: Option<Duration>,
    /// Calls within a minute below which their times say nothing.
    pub latency_calls: u64,
}

/// What may be wrong with a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheAlertRule {
    /// Too few reads find something, from 0 to 1.
    HitRatio,
    /// The store takes too long: milliseconds that 99 of 100 calls stayed below.
    Latency,
}

/// One rule on one namespace of one process.
///
/// ```
/// use trackside_cache::{CacheAlert, CacheAlertRule};
/// use trackside_core::Timestamp;
/// let at = Timestamp::from_millis(1_700_000_000_000);
/// let alert = CacheAlert {
///     process: "31-0badcafe".into(),
///     namespace: "page".parse()?,
///     rule: CacheAlertRule::HitRatio,
///     since: at,
///     resolved_at: None,
///     value: 0.125,
///     threshold: 0.2,
/// };
/// assert_eq!(alert.id(), "cache.page.hit_ratio.31-0badcafe.1700000000000.firing");
/// assert_eq!(alert.message(), "cache page of 31-0badcafe: hit_ratio is 0.125, below 0.2");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CacheAlert {
    /// The process whose reads these are: its number, and one that is random.
    pub process: String,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The rule.
    pub rule: CacheAlertRule,
    /// When it began to hold.
    pub since: Timestamp,
    /// When it ceased to hold; `None` while it fires.
    pub resolved_at: Option<Timestamp>,
    /// What was measured when it came into its state.
    pub value: f64,
    /// The bound that was crossed.
    pub threshold: f64,
}

/// Tells people of an alert. May be asked to tell a change again: [`CacheAlert::id`] names it.
#[async_trait]
pub trait CacheAlertNotifier: Send + Sync + 'static {
    /// Where it tells, for the log.
    fn name(&self) -> &'static str;

    /// Tells, and may take its time: the watch goes on meanwhile. After a failure it is asked again later.
    ///
    /// # Errors
    /// Why nobody heard, in words for the log.
    async fn notify(&self, alert: &CacheAlert) -> Result<(), String>;
}

// === impl Bounds ===

impl Default for Bounds {
    /// Fewer than a fifth of at least 1,000 reads finding something, and one of 100 calls (of at least 100) taking longer than
    /// 100 ms.
    fn default() -> Self {
        Self {
            hit_ratio_below: Some(0.2),
            hit_ratio_reads: 1_000,
            latency_above: Some(Duration::from_millis(100)),
            latency_calls: 100,
        }
    }
}

// === impl CacheAlertRule ===

impl CacheAlertRule {
    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HitRatio => "hit_ratio",
            Self::Latency => "latency",
        }
    }

    const fn wrong_side(self) -> &'static str {
        match self {
            Self::HitRatio => "below",
            Self::Latency => "above",
        }
    }
}

// === impl CacheAlert ===

impl CacheAlert {
    /// True while it holds.
    #[must_use]
    pub const fn is_firing(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// `firing` or `resolved`.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        if self.is_firing() { "firing" } else { "resolved" }
    }

    /// When it came into its state.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.resolved_at.unwrap_or(self.since)
    }

    /// The name of this change: a receiver that heard of it may ignore a second telling.
    #[must_use]
    pub fn id(&self) -> String {
        let (namespace, rule, since) = (&self.namespace, self.rule.as_str(), self.since.as_millis());
        format!("cache.{namespace}.{rule}.{}.{since}.{}", self.process, self.state())
    }

    /// The alert in one line.
    #[must_use]
    pub fn message(&self) -> String {
        let (rule, value, threshold) = (self.rule.as_str(), self.value, self.threshold);
        let place = format!("cache {} of {}: {rule} is {value}", self.namespace, self.process);
        match self.is_firing() {
            true => format!("{place}, {} {threshold}", self.rule.wrong_side()),
            false => format!("{place} again"),
        }
    }

    /// The alert as it is sent to people.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "event": self.state(), "alert_id": self.id(), "namespace": self.namespace.as_str(), "process": self.process,
            "rule": self.rule.as_str(), "value": self.value, "threshold": self.threshold, "since": self.since,
            "at": self.changed_at(), "message": self.message(),
        })
    }
}
