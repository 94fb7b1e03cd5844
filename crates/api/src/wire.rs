//! Words that several resources share on the wire: levels, states, retry policies and pages.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The order between tasks that are ready: strict between levels, first in first out inside one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    Critical,
    High,
    Normal,
    Low,
}

/// Where a task is in its life. `waiting`: on dependencies; `parked`: by the brake; `failed`: between attempts; `dead`:
/// in the dead letters.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskState {
    Queued,
    Delayed,
    Waiting,
    Parked,
    Active,
    Completed,
    Failed,
    Dead,
    Cancelled,
}

/// How long a failed task waits before its next attempt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"type": "exponential", "base_ms": 1000, "max_ms": 60000}))]
pub(crate) enum Backoff {
    /// `base_ms · 2^(attempt − 1)`, at most `max_ms`, times a random number from 0 to 1.
    Exponential { base_ms: u64, max_ms: u64 },
    /// Always the same.
    Fixed { delay_ms: u64 },
    /// One delay per attempt; the last one repeats.
    List { delays_ms: Vec<u64> },
}

/// A key that one task of a queue holds at a time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UniqueKey, example = json!({"key": "reindex:project-7", "until": "started"}))]
pub(crate) struct Unique {
    /// 1 to 512 printable ASCII characters.
    key: String,
    /// When the key is free again; `done` when left out.
    until: Option<UniqueUntil>,
}

/// When a task lets go of its unique key: when it is handed out for the first time, or when it has ended or is dead.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UniqueUntil {
    Started,
    Done,
}

/// What becomes of a task when one that it waits for fails. `fail`: it goes to the dead letters; `continue`: it runs all
/// the same, once all have ended; `cancel`: it is called off.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    Fail,
    Continue,
    Cancel,
}

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most items of the page: 1 to 256, 50 when left out.
    pub(crate) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Items of a page when the request does not say.
const DEFAULT_PAGE: usize = 50;
/// Most items of a page.
const MAX_PAGE: usize = 256;

// === impl Priority, TaskState, Backoff, Unique, OnFailure ===

impl From<OnFailure> for trackside_queue::OnFailure {
    fn from(on_failure: OnFailure) -> Self {
        match on_failure {
            OnFailure::Fail => Self::Fail,
            OnFailure::Continue => Self::Continue,
            OnFailure::Cancel => Self::Cancel,
        }
    }
}

impl From<Priority> for trackside_queue::Priority {
    fn from(level: Priority) -> Self {
        match level {
            Priority::Critical => Self::Critical,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

impl From<trackside_queue::Priority> for Priority {
    fn from(level: trackside_queue::Priority) -> Self {
        match level {
            trackside_queue::Priority::Critical => Self::Critical,
            trackside_queue::Priority::High => Self::High,
            trackside_queue::Priority::Normal => Self::Normal,
            trackside_queue::Priority::Low => Self::Low,
        }
    }
}

impl From<trackside_queue::TaskState> for TaskState {
    fn from(state: trackside_queue::TaskState) -> Self {
        match state {
            trackside_queue::TaskState::Queued => Self::Queued,
            trackside_queue::TaskState::Delayed => Self::Delayed,
            trackside_queue::TaskState::Waiting => Self::Waiting,
            trackside_queue::TaskState::Parked => Self::Parked,
            trackside_queue::TaskState::Active => Self::Active,
            trackside_queue::TaskState::Completed => Self::Completed,
            trackside_queue::TaskState::Failed => Self::Failed,
            trackside_queue::TaskState::Dead => Self::Dead,
            trackside_queue::TaskState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Backoff> for trackside_queue::RetryPolicy {
    fn from(backoff: Backoff) -> Self {
        match backoff {
            Backoff::Exponential { base_ms, max_ms } => Self::Exponential { base_ms, max_ms },
            Backoff::Fixed { delay_ms } => Self::Fixed { delay_ms },
            Backoff::List { delays_ms } => Self::List { delays_ms },
        }
    }
}

impl From<Unique> for trackside_queue::Unique {
    fn from(unique: Unique) -> Self {
        let until = match unique.until {
            Some(UniqueUntil::Started) => trackside_queue::UniqueUntil::Started,
            Some(UniqueUntil::Done) | None => trackside_queue::UniqueUntil::Done,
        };
        Self { key: unique.key, until }
    }
}

impl From<trackside_queue::RetryPolicy> for Backoff {
    fn from(policy: trackside_queue::RetryPolicy) -> Self {
        use trackside_queue::RetryPolicy;
        match policy {
            RetryPolicy::Exponential { base_ms, max_ms } => Self::Exponential { base_ms, max_ms },
            RetryPolicy::Fixed { delay_ms } => Self::Fixed { delay_ms },
            RetryPolicy::List { delays_ms } => Self::List { delays_ms },
        }
    }
}

// === impl PageQuery ===

impl PageQuery {
    /// How many items the page holds at most.
    pub(crate) fn limit(&self) -> usize {
        page_limit(self.limit)
    }
}

/// How many items a page holds at most, where a request asked for this many.
pub(crate) fn page_limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE)
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The ids of the tasks that a task waits for.
pub(crate) fn ids_of(dependencies: &[trackside_queue::Dependency]) -> Vec<String> {
    dependencies.iter().map(|it| it.id.to_string()).collect()
}

/// JSON text of a store as a value; text that is no JSON (a plain client may have pushed it) becomes a string.
pub(crate) fn json_text(text: &[u8]) -> Box<serde_json::value::RawValue> {
    let raw =
        std::str::from_utf8(text).ok().and_then(|text| serde_json::value::RawValue::from_string(text.to_owned()).ok());
    raw.or_else(|| serde_json::value::to_raw_value(&String::from_utf8_lossy(text)).ok())
        .unwrap_or_else(|| serde_json::value::RawValue::NULL.to_owned())
}
