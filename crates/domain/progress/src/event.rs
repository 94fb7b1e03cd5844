//! Events: what a store keeps of them, and what a stream hands out.

use std::{fmt, sync::Arc};

use crate::EventId;

/// What an event says; the `event:` field of the SSE stream.
///
/// ```
/// assert_eq!(trackside_progress::EventKind::Progress.as_str(), "progress");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The whole state ([`Snapshot`](crate::Snapshot)); it replaces what the client had.
    Snapshot,
    /// A change of percent, step or message: `{"status", "percent", "message"?, "steps"?: [the changed ones], "updated_at"}`.
    Progress,
    /// One line of a log: `{"line", "at"}`.
    Log,
    /// A change of state: `{"status", "percent", "state"?: {…}, "updated_at"}`.
    State,
    /// The end of the work: `{"status", "percent", "message"?, "steps"?, "result"?, "updated_at"}`. Exactly one, always
    /// the last that counts.
    Result,
    /// The store is away; the stream goes on when it is back. Carries no id.
    Degraded,
    /// What the client has seen cannot be continued; a snapshot follows. Carries no id.
    Reset,
    /// Nothing follows. A client that reconnects with this event's id has everything.
    End,
}

/// An event as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its id.
    pub id: EventId,
    /// One of [`EventKind::Snapshot`], `Progress`, `Log`, `State` or `Result`; the others exist only in streams.
    pub kind: EventKind,
    /// JSON text.
    pub data: Arc<str>,
    /// The whole state after this event as JSON text, in every few events, so that a reader never goes far back.
    pub keyframe: Option<Arc<str>>,
}

/// An event as a stream hands it out.
///
/// ```
/// use trackside_progress::{EventKind, ProgressEvent};
/// let event = ProgressEvent { id: None, kind: EventKind::Degraded, data: "{}".into() };
/// assert!(event.id.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressEvent {
    /// Present on every event that counts: a client that has seen it resumes after it.
    pub id: Option<EventId>,
    /// What it says.
    pub kind: EventKind,
    /// JSON text on one line.
    pub data: Arc<str>,
}

// === impl EventKind ===

impl EventKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Progress => "progress",
            Self::Log => "log",
            Self::State => "state",
            Self::Result => "result",
            Self::Degraded => "degraded",
            Self::Reset => "reset",
            Self::End => "end",
        }
    }

    /// The kind of a stored event with this name.
    #[must_use]
    pub fn from_stored(name: &str) -> Option<Self> {
        [Self::Snapshot, Self::Progress, Self::Log, Self::State, Self::Result]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ProgressEvent ===

impl From<Frame> for ProgressEvent {
    fn from(frame: Frame) -> Self {
        Self { id: Some(frame.id), kind: frame.kind, data: frame.data }
    }
}
