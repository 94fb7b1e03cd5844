//! What an operation is: steps with weights that roll up into one percentage that never falls.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::Timestamp;

use crate::{Config, Error, ProgressId};

/// The shortest and the longest time to live that may be asked for: a year. A store refuses a time beyond its clock, and
/// one that is never reached would keep the operation for good.
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How an operation or a step stands.
///
/// ```
/// use trackside_progress::Status;
/// assert!(Status::Failed.is_final() && !Status::Running.is_final());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing was reported yet.
    Pending,
    /// Work is going on.
    Running,
    /// Done.
    Completed,
    /// Ended without success.
    Failed,
    /// Called off.
    Cancelled,
}

/// How an operation may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalStatus {
    /// Done: the percentage becomes 100 and every step that was not ended is completed.
    Completed,
    /// Ended without success: running steps become failed.
    Failed,
    /// Called off: running steps become cancelled.
    Cancelled,
}

/// A step to come: a part of the operation with its own percentage, status and message.
///
/// ```
/// use trackside_progress::StepSpec;
/// assert_eq!(StepSpec::named("read").weight, 1.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Unique in the operation.
    pub name: String,
    /// Its share of the whole, relative to the other steps; more than 0.
    #[serde(default = "one")]
    pub weight: f64,
}

/// An operation to start.
///
/// ```
/// use trackside_progress::{NewOperation, StepSpec};
/// let operation = NewOperation { steps: vec![StepSpec::named("read"), StepSpec::named("write")], ttl: None };
/// assert_eq!(operation.steps.len(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewOperation {
    /// Its steps in order; none when there is only one percentage.
    pub steps: Vec<StepSpec>,
    /// How long it is kept after its last event, running or ended, instead of the configured times; 1 s to a year.
    pub ttl: Option<Duration>,
}

/// A report. What is `None` stays as it is.
///
/// ```
/// use trackside_progress::Update;
/// let update = Update { step: Some("read".into()), percent: Some(40.0), ..Update::default() };
/// assert!(update.status.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Update {
    /// The step that the other fields are about; without it they are about the operation as a whole.
    pub step: Option<String>,
    /// From 0 to 100. A percentage never falls: a lower one than before changes nothing.
    pub percent: Option<f64>,
    /// What is being done, in one line. Of a step, it is the operation's message as well.
    pub message: Option<String>,
    /// A final status without a step ends the operation.
    pub status: Option<Status>,
}

/// How a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSnapshot {
    /// Its name.
    pub name: String,
    /// Its share of the whole.
    #[serde(default = "one")]
    pub weight: f64,
    /// How it stands.
    pub status: Status,
    /// From 0 to 100.
    pub percent: f64,
    /// What was said last about it.
    pub message: Option<String>,
}

/// How an operation stands: the body of a `snapshot` event and of `GET /v1/progress/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which operation.
    pub id: ProgressId,
    /// How it stands.
    pub status: Status,
    /// From 0 to 100, never falling.
    pub percent: f64,
    /// Its steps in order.
    pub steps: Vec<StepSnapshot>,
    /// What was said last.
    pub message: Option<String>,
    /// The last state that was published beside the percentages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// What it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// How long it is kept after its last event, in milliseconds, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// When it changed last, by the store's clock.
    pub updated_at: Timestamp,
}

const fn one() -> f64 {
    1.0
}

// === impl Status, FinalStatus ===

impl Status {
    /// True when nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.as_final().is_some()
    }

    /// The same as a final status, when it is one.
    #[must_use]
    pub const fn as_final(self) -> Option<FinalStatus> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Completed => Some(FinalStatus::Completed),
            Self::Failed => Some(FinalStatus::Failed),
            Self::Cancelled => Some(FinalStatus::Cancelled),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<FinalStatus> for Status {
    fn from(status: FinalStatus) -> Self {
        match status {
            FinalStatus::Completed => Self::Completed,
            FinalStatus::Failed => Self::Failed,
            FinalStatus::Cancelled => Self::Cancelled,
        }
    }
}

// === impl StepSpec, NewOperation ===

impl StepSpec {
    /// A step of weight 1.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), weight: one() }
    }
}

impl NewOperation {
    /// # Errors
    /// [`Error::InvalidInput`] naming the first thing that is wrong.
    pub(crate) fn validate(&self, config: &Config) -> Result<(), Error> {
        let invalid = |field, reason| Err(Error::InvalidInput { field, reason });
        if self.steps.len() > config.max_steps {
            return invalid("steps", format!("{} steps, at most {}", self.steps.len(), config.max_steps));
        }
        if self.ttl.is_some_and(|ttl| !(MIN_TTL..=MAX_TTL).contains(&ttl)) {
            return invalid("ttl_s", format!("must be from {} to {}", MIN_TTL.as_secs(), MAX_TTL.as_secs()));
        }
        for (index, step) in self.steps.iter().enumerate() {
            if step.name.is_empty() || step.name.len() > 128 {
                return invalid("steps", format!("step {index}: the name must have 1 to 128 bytes"));
            }
            if !(step.weight.is_finite() && step.weight > 0.0 && step.weight <= 1e9) {
                return invalid("steps", format!("step {:?}: the weight must be more than 0", step.name));
            }
            if self.steps[..index].iter().any(|earlier| earlier.name == step.name) {
                return invalid("steps", format!("step {:?} is there twice", step.name));
            }
        }
        Ok(())
    }
}

// === impl Update ===

impl Update {
    /// True when nothing but a percentage is reported: such an update may be thinned out.
    pub(crate) fn is_percent_only(&self) -> bool {
        self.message.is_none() && self.status.is_none()
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self.percent {
            Some(percent) if !(0.0..=100.0).contains(&percent) => {
                Err(Error::InvalidInput { field: "percent", reason: "must be from 0 to 100".into() })
            }
            _ => Ok(()),
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// An operation of which nothing was reported yet.
    pub(crate) fn new(id: ProgressId, new: &NewOperation, now: Timestamp) -> Self {
        let step = |spec: &StepSpec| StepSnapshot {
            name: spec.name.clone(),
            weight: spec.weight,
            status: Status::Pending,
            percent: 0.0,
            message: None,
        };
        Self {
            id,
            status: Status::Pending,
            percent: 0.0,
            steps: new.steps.iter().map(step).collect(),
            message: None,
            state: None,
            result: None,
            ttl_ms: new.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            updated_at: now,
        }
    }

    /// True when `new` describes this operation: starting it again is a repeat and changes nothing.
    pub(crate) fn is_of(&self, new: &NewOperation) -> bool {
        let same_step = |(step, spec): (&StepSnapshot, &StepSpec)| step.name == spec.name && step.weight == spec.weight;
        self.steps.len() == new.steps.len()
            && self.steps.iter().zip(&new.steps).all(same_step)
            && self.ttl_ms == new.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long it is to be kept from now on.
    pub(crate) fn ttl(&self, config: &Config) -> Duration {
        match self.ttl_ms {
            Some(millis) => Duration::from_millis(millis),
            None if self.status.is_final() => config.ttl_after_end,
            None => config.ttl,
        }
    }

    /// Takes the weighted mean of the steps as the percentage, where that is more than it was.
    pub(crate) fn roll_up(&mut self) {
        let total: f64 = self.steps.iter().map(|step| step.weight).sum();
        if total > 0.0 {
            let done: f64 = self.steps.iter().map(|step| step.weight * step.percent).sum();
            self.raise_to(done / total);
        }
    }

    /// Sets the percentage, rounded to hundredths, unless that would lower it.
    pub(crate) fn raise_to(&mut self, percent: f64) {
        self.percent = self.percent.max((percent * 100.0).round() / 100.0).clamp(0.0, 100.0);
    }

    /// Ends it.
    pub(crate) fn end(&mut self, status: FinalStatus, result: Option<Value>) {
        for step in &mut self.steps {
            match (status, step.status) {
                (FinalStatus::Completed, Status::Pending | Status::Running) => {
                    step.status = Status::Completed;
                    step.percent = 100.0;
                }
                (_, Status::Running) => step.status = status.into(),
                _ => {}
            }
        }
        if status == FinalStatus::Completed {
            self.percent = 100.0;
        }
        self.status = status.into();
        self.result = result;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(weights: &[f64]) -> Snapshot {
        let steps = weights.iter().enumerate().map(|(i, w)| StepSpec { name: format!("s{i}"), weight: *w }).collect();
        Snapshot::new("op".parse().unwrap(), &NewOperation { steps, ttl: None }, Timestamp::from_millis(0))
    }

    #[test]
    fn steps_roll_up_by_their_weights() {
        let mut snapshot = operation(&[1.0, 3.0]);
        snapshot.steps[1].percent = 50.0;
        snapshot.roll_up();
        assert_eq!(snapshot.percent, 37.5);
    }

    #[test]
    fn a_definition_with_a_fault_is_refused() {
        let config = Config { max_steps: 2, ..Config::default() };
        let of = |names: &[(&str, f64)]| NewOperation {
            steps: names.iter().map(|(name, weight)| StepSpec { name: (*name).into(), weight: *weight }).collect(),
            ttl: None,
        };
        assert!(of(&[("a", 1.0), ("b", 0.5)]).validate(&config).is_ok());
        for bad in [
            of(&[("a", 1.0), ("a", 1.0)]),
            of(&[("", 1.0)]),
            of(&[("a", 0.0)]),
            of(&[("a", f64::NAN)]),
            of(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]),
            NewOperation { steps: vec![], ttl: Some(Duration::from_millis(1)) },
            NewOperation { steps: vec![], ttl: Some(MAX_TTL + Duration::from_secs(1)) },
            NewOperation { steps: vec![], ttl: Some(Duration::from_secs(u64::MAX)) },
        ] {
            assert!(matches!(bad.validate(&config), Err(Error::InvalidInput { .. })), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_percentage_never_falls_and_stays_in_range(
            weights in proptest::collection::vec(0.01f64..100.0, 1..6),
            reports in proptest::collection::vec((0usize..6, 0.0f64..=100.0), 0..40),
        ) {
            let mut snapshot = operation(&weights);
            let mut before = 0.0;
            for (step, percent) in reports {
                let step = step % weights.len();
                snapshot.steps[step].percent = percent;
                snapshot.roll_up();
                prop_assert!(snapshot.percent >= before && snapshot.percent <= 100.0);
                before = snapshot.percent;
            }
        }
    }
}
