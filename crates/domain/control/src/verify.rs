//! Verification: after a pause, which tasks stopped and which did not obey.

use serde::{Deserialize, Serialize};
use trackside_core::Timestamp;

use crate::{BrakeState, Config};

/// How far a task that was told to stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopOutcome {
    /// It was told to stop.
    Ordered,
    /// It stopped.
    Stopped,
}

/// A report about one task of a paused user.
///
/// ```
/// use trackside_control::{StopOutcome, StopReport};
/// let report = StopReport { task_id: "t1".into(), outcome: StopOutcome::Ordered, at: None };
/// assert!(report.at.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopReport {
    /// The task.
    pub task_id: String,
    /// How far it is.
    pub outcome: StopOutcome,
    /// When, by the bus' clock; the bus sets it.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What the reports since a pause add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Tasks that stopped.
    pub stopped: Vec<String>,
    /// Tasks that were told to and still may.
    pub stopping: Vec<String>,
    /// Tasks that were told to and did not within [`Config::obey_within`].
    pub disobeying: Vec<String>,
    /// True when it is paused and nothing is stopping or disobeying.
    pub verified: bool,
}

// === impl StopOutcome ===

impl StopOutcome {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Stopped => "stopped",
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Ordered, Self::Stopped].into_iter().find(|outcome| outcome.as_str() == name)
    }
}

// === impl Verification ===

impl Verification {
    /// Adds the reports up. `brake` is the brake that holds the user; reports from before it are of an earlier pause.
    #[must_use]
    pub fn of(brake: Option<&BrakeState>, reports: Vec<StopReport>, now: Timestamp, config: &Config) -> Self {
        let mut verification = Self::default();
        let Some(brake) = brake else { return verification };
        for report in reports {
            let at = report.at.unwrap_or(now);
            if at < brake.since {
                continue;
            }
            let list = match report.outcome {
                StopOutcome::Stopped => &mut verification.stopped,
                StopOutcome::Ordered if at.plus(config.obey_within) < now => &mut verification.disobeying,
                StopOutcome::Ordered => &mut verification.stopping,
            };
            list.push(report.task_id);
        }
        verification.verified = verification.stopping.is_empty() && verification.disobeying.is_empty();
        verification
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::BrakeScope;

    #[test]
    fn a_task_that_does_not_stop_in_time_disobeys() {
        let at = Timestamp::from_millis;
        let brake = BrakeState {
            scope: BrakeScope::Everyone,
            since: at(1_000),
            reason: None,
            by: None,
            expires_at: None,
            revision: 1,
        };
        let report =
            |task_id: &str, outcome, millis| StopReport { task_id: task_id.into(), outcome, at: Some(at(millis)) };
        let reports = vec![
            report("earlier pause", StopOutcome::Ordered, 999),
            report("stopped", StopOutcome::Stopped, 1_500),
            report("slow", StopOutcome::Ordered, 1_000),
            report("stopping", StopOutcome::Ordered, 5_000),
        ];
        let config = Config { obey_within: Duration::from_secs(5), ..Config::default() };
        let verification = Verification::of(Some(&brake), reports.clone(), at(6_001), &config);
        assert_eq!(verification.stopped, ["stopped"]);
        assert_eq!(verification.disobeying, ["slow"]);
        assert_eq!(verification.stopping, ["stopping"]);
        assert!(!verification.verified);
        assert!(!Verification::of(None, reports, at(6_001), &config).verified);
        assert!(Verification::of(Some(&brake), vec![], at(6_001), &config).verified);
    }
}
