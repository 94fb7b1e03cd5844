//! Changes: what a writer wants, the event that says so, and how a reader follows it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::Timestamp;

use crate::{
    Config, Error, EventKind, FinalStatus, Frame, NewOperation, ProgressId, Snapshot, Status, StepSnapshot, Update,
};

/// What a writer wants.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Start over, unless it runs with the same definition already.
    Start(NewOperation),
    /// Start it only when it is unknown.
    Ensure(NewOperation),
    /// A report.
    Update(Update),
    /// A line of a log.
    Log(String),
    /// A state beside the percentages.
    State(Value),
    /// The end.
    Finish(FinalStatus, Option<Value>),
    /// Say what was held back.
    Settle,
}

/// What became of a change when it was applied to the state.
#[derive(Debug)]
pub(crate) enum Applied {
    /// This event says it.
    Event { kind: EventKind, data: Arc<str> },
    /// Only a percentage moved, which the caller may hold back.
    PercentOnly,
    /// It was so already.
    Nothing,
}

/// The body of the events that change the state: the part that changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Delta {
    status: Status,
    percent: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The steps that changed since the event before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepSnapshot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct LogLine<'a> {
    line: &'a str,
    at: Timestamp,
}

// === impl Change ===

impl Change {
    /// True when it may be dropped to make room while the store is away: a later one says more.
    pub(crate) const fn may_be_dropped(&self) -> bool {
        matches!(self, Self::Update(Update { status: None, .. }) | Self::Log(_) | Self::Settle)
    }

    /// True when `later` makes this one unnecessary.
    pub(crate) fn is_replaced_by(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Update(earlier), Self::Update(later)) => {
                earlier.is_percent_only()
                    && later.is_percent_only()
                    && earlier.step == later.step
                    && later.percent.is_some()
            }
            (Self::Settle, Self::Settle) => true,
            _ => false,
        }
    }

    /// Applies it to the state; `told` is the state that readers know, so that an event tells all that changed since.
    ///
    /// # Errors
    /// When the operation is unknown, has ended, has no such step, or the event would be too large; then the state
    /// may not be used any more.
    pub(crate) fn apply(
        &self,
        id: &ProgressId,
        state: &mut Option<Snapshot>,
        told: Option<&Snapshot>,
        now: Timestamp,
        config: &Config,
    ) -> Result<Applied, Error> {
        if let Self::Start(new) | Self::Ensure(new) = self {
            let keep = state.as_ref().is_some_and(|current| match self {
                Self::Ensure(_) => true,
                _ => !current.status.is_final() && current.is_of(new),
            });
            if keep {
                return Ok(Applied::Nothing);
            }
            let started = state.insert(Snapshot::new(id.clone(), new, now));
            return Ok(Applied::Event { kind: EventKind::Snapshot, data: json("start", started)? });
        }
        let Some(snapshot) = state else { return Err(Error::Unknown(id.clone())) };
        if snapshot.status.is_final() {
            return match self {
                Self::Finish(status, _) if Status::from(*status) == snapshot.status => Ok(Applied::Nothing),
                Self::Settle => Ok(Applied::Nothing),
                _ => Err(Error::Finished { id: id.clone(), status: snapshot.status }),
            };
        }
        let before = snapshot.clone();
        let kind = match self {
            Self::Update(update) => {
                snapshot.report(update)?;
                EventKind::Progress
            }
            Self::Log(line) => {
                return Ok(Applied::Event {
                    kind: EventKind::Log,
                    data: bounded(config, json("log", &LogLine { line, at: now })?)?,
                });
            }
            Self::State(value) => {
                snapshot.state = Some(value.clone());
                EventKind::State
            }
            Self::Finish(status, result) => {
                snapshot.end(*status, result.clone());
                EventKind::Result
            }
            Self::Settle if told.is_some_and(|told| told == &*snapshot) => return Ok(Applied::Nothing),
            Self::Settle => EventKind::Progress,
            Self::Start(_) | Self::Ensure(_) => return Ok(Applied::Nothing),
        };
        if let Self::Update(update) = self {
            if *snapshot == before {
                return Ok(Applied::Nothing);
            }
            let same_steps = snapshot.steps.iter().zip(&before.steps).all(|(now, then)| now.status == then.status);
            if update.is_percent_only() && same_steps && snapshot.status == before.status {
                snapshot.updated_at = now;
                return Ok(Applied::PercentOnly);
            }
        }
        snapshot.updated_at = now;
        let data = snapshot.delta(kind, told)?;
        Ok(Applied::Event { kind, data: bounded(config, data)? })
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn report(&mut self, update: &Update) -> Result<(), Error> {
        if self.status == Status::Pending {
            self.status = Status::Running;
        }
        if let Some(message) = &update.message {
            self.message = Some(message.clone());
        }
        let Some(name) = &update.step else {
            if let Some(percent) = update.percent {
                self.raise_to(percent);
            }
            return Ok(());
        };
        let Some(step) = self.steps.iter_mut().find(|step| step.name == *name) else {
            let known: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
            let reason = format!("the operation has no step {name:?}; its steps are {known:?}");
            return Err(Error::InvalidInput { field: "step", reason });
        };
        if let Some(percent) = update.percent {
            step.percent = step.percent.max(percent);
        }
        if let Some(message) = &update.message {
            step.message = Some(message.clone());
        }
        step.status = match update.status {
            Some(status) => status,
            None if step.status.is_final() => step.status,
            None if step.percent >= 100.0 => Status::Completed,
            None => Status::Running,
        };
        if step.status == Status::Completed {
            step.percent = 100.0;
        }
        self.roll_up();
        Ok(())
    }

    /// The event body that tells of this state to readers who know `told`.
    fn delta(&self, kind: EventKind, told: Option<&Self>) -> Result<Arc<str>, Error> {
        let is_new =
            |(index, step): &(usize, &StepSnapshot)| told.and_then(|told| told.steps.get(*index)) != Some(step);
        let delta = Delta {
            status: self.status,
            percent: self.percent,
            message: self.message.clone(),
            steps: self.steps.iter().enumerate().filter(is_new).map(|(_, step)| step.clone()).collect(),
            state: if kind == EventKind::State { self.state.clone() } else { None },
            result: if kind == EventKind::Result { self.result.clone() } else { None },
            updated_at: self.updated_at,
        };
        json("delta", &delta)
    }

    /// The state after `frames`, of which the first must carry a keyframe; `None` when there are no frames.
    ///
    /// # Errors
    /// [`Error::Store`] with the kind *invalid data* when they cannot be understood.
    pub(crate) fn after(frames: &[Frame]) -> Result<Option<Self>, Error> {
        let mut state: Option<Self> = None;
        for frame in frames {
            match (&frame.keyframe, &mut state) {
                (Some(keyframe), _) => state = Some(parsed("keyframe", keyframe)?),
                (None, Some(state)) => state.follow(frame)?,
                (None, None) => return Err(Error::invalid_data("head", "the first event carries no state")),
            }
        }
        Ok(state)
    }

    fn follow(&mut self, frame: &Frame) -> Result<(), Error> {
        match frame.kind {
            EventKind::Snapshot => *self = parsed("snapshot", &frame.data)?,
            EventKind::Progress | EventKind::State | EventKind::Result => {
                let delta: Delta = parsed("delta", &frame.data)?;
                self.status = delta.status;
                self.percent = delta.percent;
                self.message = delta.message;
                self.state = delta.state.or_else(|| self.state.take());
                self.result = delta.result;
                self.updated_at = delta.updated_at;
                for step in delta.steps {
                    if let Some(mine) = self.steps.iter_mut().find(|mine| mine.name == step.name) {
                        *mine = step;
                    }
                }
            }
            EventKind::Log | EventKind::Degraded | EventKind::Reset | EventKind::End => {}
        }
        Ok(())
    }
}

fn bounded(config: &Config, data: Arc<str>) -> Result<Arc<str>, Error> {
    if data.len() <= config.max_event_bytes {
        return Ok(data);
    }
    let reason = format!("{} bytes in one event, at most {}", data.len(), config.max_event_bytes);
    Err(Error::InvalidInput { field: "data", reason })
}

pub(crate) fn json<T: Serialize>(what: &'static str, value: &T) -> Result<Arc<str>, Error> {
    serde_json::to_string(value).map(Into::into).map_err(|error| Error::invalid_data(what, error))
}

fn parsed<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::invalid_data(what, error))
}
