//! The port: what every process knows of the alerts, and who tells a change.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use trackside_core::QueueName;

use super::{Alert, AlertRule};
use crate::Error;

/// What a process saw of a rule on a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The queue.
    pub queue: QueueName,
    /// The rule.
    pub rule: AlertRule,
    /// Whether it holds.
    pub holds: bool,
    /// What was measured.
    pub value: f64,
    /// The bound that was, or was not, crossed.
    pub threshold: f64,
}

/// Where alerts are noted.
///
/// # Laws
/// - **A-L1 one teller** — a change (a rule begins to hold, or ceases to) is answered to exactly one of all callers that
///   observe it at the same time; that one tells people.
/// - **A-L2 told at last** — a change that was not confirmed within the patience of a later caller is answered again, to
///   one of them, so that a teller that dies tells nobody only for so long.
/// - **A-L3 remembered** — an alert is listed while it fires, and for a day after it was resolved.
///
/// Each is a test that runs against both boards. Every method is one round trip, atomic, bounded, and may be repeated.
#[async_trait]
pub trait AlertBoard: Send + Sync + Debug + 'static {
    /// Notes what was observed, at most [`MAX_BATCH`](crate::MAX_BATCH) at once; answers the changes that the caller must
    /// tell people of and then [confirm](Self::told).
    async fn note(&self, observed: &[Observation], patience: Duration) -> Result<Vec<Alert>, Error>;

    /// Confirms that people were told of a change.
    async fn told(&self, alert: &Alert) -> Result<(), Error>;

    /// Alerts that fire, and those resolved within a day; at most about a thousand.
    async fn alerts(&self) -> Result<Vec<Alert>, Error>;
}
