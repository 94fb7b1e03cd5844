//! The two ids: which operation, and which of its events.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use trackside_core::{CorrelationId, InvalidName, TaskId};

/// Which operation: a correlation id, or a task id as text. 1–128 of `A-Z a-z 0-9 . _ -`.
///
/// ```
/// use trackside_progress::ProgressId;
/// assert!("import-42".parse::<ProgressId>().is_ok());
/// assert!("import 42".parse::<ProgressId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgressId(CorrelationId);

/// Which event of an operation: `<epoch>-<seq>`, strictly increasing over the life of the operation.
///
/// The epoch is when its writer took the operation over, in milliseconds by the store's clock; the sequence counts the
/// events of that writer. Two writers never share an epoch, so an id names one event for good.
///
/// ```
/// use trackside_progress::EventId;
/// let id: EventId = "1767225600000-7".parse()?;
/// assert!(id < id.next() && id.next() < EventId::first(id.epoch + 1));
/// assert_eq!(id.to_string(), "1767225600000-7");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// When the writer took over: milliseconds by the store's clock, later than every earlier epoch.
    pub epoch: u64,
    /// Counts from 1 within the epoch.
    pub seq: u64,
}

const EVENT_RULE: &str = "<epoch>-<seq>, two decimal numbers";

// === impl ProgressId ===

impl ProgressId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ProgressId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(id) => Ok(Self(id)),
            Err(InvalidName { rule, .. }) => Err(InvalidName { what: "progress id", rule }),
        }
    }
}

impl From<CorrelationId> for ProgressId {
    fn from(id: CorrelationId) -> Self {
        Self(id)
    }
}

impl From<TaskId> for ProgressId {
    fn from(id: TaskId) -> Self {
        // A UUID's text is always a well-formed correlation id, so this keeps it.
        Self(CorrelationId::accept(Some(&id.to_string())))
    }
}

impl fmt::Display for ProgressId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl EventId ===

impl EventId {
    /// The first event of an epoch.
    #[must_use]
    pub const fn first(epoch: u64) -> Self {
        Self { epoch, seq: 1 }
    }

    /// The event after this one by the same writer.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { epoch: self.epoch, seq: self.seq.saturating_add(1) }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse::<u64>().ok(),
            false => None,
        };
        let parsed = text.split_once('-').and_then(|(epoch, seq)| Some((number(epoch)?, number(seq)?)));
        match parsed {
            Some((epoch, seq)) => Ok(Self { epoch, seq }),
            None => Err(InvalidName { what: "event id", rule: EVENT_RULE }),
        }
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_event_ids_are_refused() {
        for bad in ["", "1", "1-", "-1", "1-2-3", "a-1", "+1-1", "1-+1", "99999999999999999999-1"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_task_id_keeps_its_text() {
        let id = TaskId::generate(&"exports".parse().unwrap());
        assert_eq!(ProgressId::from(id).as_str(), id.to_string());
    }
}
