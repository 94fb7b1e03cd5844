//! Alerts: what is wrong with a queue, for everyone to see, and told to people once however many processes watch.

mod board;
mod memory;
#[cfg(feature = "redis")]
mod redis;

use serde::{Deserialize, Serialize};
use trackside_core::{QueueName, Timestamp};

#[cfg(feature = "redis")]
pub use self::redis::RedisAlertBoard;
pub use self::{
    board::{AlertBoard, Observation},
    memory::MemoryAlertBoard,
};

/// What may be wrong with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertRule {
    /// More tasks are ready than workers should leave waiting.
    Backlog,
    /// The oldest ready task has waited for too long, in milliseconds.
    OldestAge,
    /// Too many of the attempts of the last minute failed, from 0 to 1.
    FailureRate,
    /// Dead letters wait for a decision.
    DeadLetters,
    /// Tasks are missing from the places of the queue: its audit does not balance.
    Unbalanced,
}

/// Whether an alert holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It holds.
    Firing,
    /// It held, and holds no longer.
    Resolved,
}

/// One rule on one queue.
///
/// ```
/// use trackside_core::Timestamp;
/// use trackside_queue::{Alert, AlertRule, AlertState};
/// let alert = Alert {
///     queue: "exports".parse()?,
///     rule: AlertRule::Backlog,
///     state: AlertState::Firing,
///     since: Timestamp::from_millis(1_700_000_000_000),
///     changed_at: Timestamp::from_millis(1_700_000_000_000),
///     value: 140.0,
///     threshold: 100.0,
/// };
/// assert_eq!(alert.id(), "exports.backlog.1700000000000.firing");
/// assert_eq!(alert.message(), "queue exports: backlog is 140, above 100");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The queue.
    pub queue: QueueName,
    /// The rule.
    pub rule: AlertRule,
    /// Whether it holds.
    pub state: AlertState,
    /// When it began to hold.
    pub since: Timestamp,
    /// When it came into its state.
    pub changed_at: Timestamp,
    /// What was measured then.
    pub value: f64,
    /// The bound that was crossed.
    pub threshold: f64,
}

/// Resolved alerts are remembered for a day.
pub(crate) const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;

// === impl AlertRule ===

impl AlertRule {
    /// Every rule.
    pub const ALL: [Self; 5] = [Self::Backlog, Self::OldestAge, Self::FailureRate, Self::DeadLetters, Self::Unbalanced];

    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::OldestAge => "oldest_age",
            Self::FailureRate => "failure_rate",
            Self::DeadLetters => "dead_letters",
            Self::Unbalanced => "unbalanced",
        }
    }

    /// The rule of a name.
    #[cfg(feature = "redis")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

// === impl AlertState ===

impl AlertState {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

// === impl Alert ===

impl Alert {
    /// The name of this change, the same for whoever tells it: a receiver that heard of it may ignore a second telling.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.{}.{}.{}", self.queue, self.rule.as_str(), self.since.as_millis(), self.state.as_str())
    }

    /// The alert in one line.
    #[must_use]
    pub fn message(&self) -> String {
        let (queue, rule, value, threshold) = (&self.queue, self.rule.as_str(), self.value, self.threshold);
        match self.state {
            AlertState::Firing => format!("queue {queue}: {rule} is {value}, above {threshold}"),
            AlertState::Resolved => format!("queue {queue}: {rule} is {value} again"),
        }
    }

    /// The alert as it is sent: on the channel `alerts` and to webhooks.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "event": self.state.as_str(), "alert_id": self.id(), "queue": self.queue.as_str(),
            "rule": self.rule.as_str(), "value": self.value, "threshold": self.threshold, "since": self.since,
            "at": self.changed_at, "message": self.message(),
        })
    }
}
