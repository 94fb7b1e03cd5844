//! What a task is: what a producer hands in, what a worker is handed out, and what anyone may ask about it.

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trackside_core::{CorrelationId, QueueName, TaskId, Timestamp, TraceParent, UserId};

use crate::{Dependency, Enqueued, OnFailure, PastAttempt, RetryPolicy, Unique, causes};

/// The order between tasks that are ready: strict between levels, first in first out inside one.
///
/// ```
/// use trackside_queue::Priority;
/// assert!(Priority::Critical < Priority::Low, "the smaller is served first");
/// assert_eq!(Priority::default(), Priority::Normal);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before everything else.
    Critical,
    /// Before normal work.
    High,
    /// The level of a task that says nothing, and of elements pushed by a plain Redis client.
    #[default]
    Normal,
    /// When nothing else is ready.
    Low,
}

/// When a new task becomes ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// After a delay, by the store's clock.
    After(Duration),
    /// At a time, by the store's clock.
    At(Timestamp),
}

/// Everything a producer may say about a task besides its kind and payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOptions {
    /// The level it waits in.
    pub priority: Priority,
    /// When it becomes ready.
    pub due: Due,
    /// When it is too late to start: it is not handed out from then on, and ends as cancelled when its turn comes
    /// (Q-L16).
    pub expires_at: Option<Timestamp>,
    /// How long one attempt may run; `None` leaves it to the worker's setting.
    pub timeout: Option<Duration>,
    /// Failed attempts after which it goes to the dead letters.
    pub max_attempts: NonZeroU32,
    /// The wait between attempts.
    pub retry: RetryPolicy,
    /// How long a lease on it lasts; `None` leaves it to the worker's setting.
    pub lease: Option<Duration>,
    /// The tasks that must end first (Q-L21), at most [`MAX_DEPENDENCIES`](crate::MAX_DEPENDENCIES).
    pub depends_on: Vec<Dependency>,
    /// What becomes of it when one of them fails.
    pub on_failure: OnFailure,
    /// The user on whose behalf it runs; the brake acts on this.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// Words to find it by, at most 16.
    pub tags: Vec<String>,
    /// What the producer calls its request: asking again under the same key adds nothing and answers the first task
    /// (Q-L17). 1 to 512 printable ASCII characters.
    pub idempotency_key: Option<String>,
    /// What there must be only one of at a time: while a task holds the key, others with it stand for that one (Q-L18).
    pub unique: Option<Unique>,
    /// How long its status and result are kept after its end, instead of the configured time; nothing is kept when zero
    /// (Q-L19).
    pub retention: Option<Duration>,
    /// The id that joins it to the request; `None` means its own id.
    pub correlation_id: Option<CorrelationId>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// A task to be enqueued.
///
/// The id is made before the call, so that a call whose answer was lost may be repeated without making a second task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its id, made for its queue by [`TaskId::generate`].
    pub id: TaskId,
    /// What a worker chooses the handler by: 1–128 printable ASCII characters.
    pub kind: String,
    /// JSON text.
    pub payload: Bytes,
    /// Everything else.
    pub options: TaskOptions,
}

/// A number that grows with every claim on a queue; only the holder of the latest one may settle the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// A task under lease, as a worker is handed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedTask {
    /// Its id.
    pub id: TaskId,
    /// The queue it came from.
    pub queue: QueueName,
    /// What the handler is chosen by.
    pub kind: String,
    /// JSON text.
    pub payload: Bytes,
    /// The level it waited in.
    pub priority: Priority,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Failed attempts after which it goes to the dead letters.
    pub max_attempts: NonZeroU32,
    /// How often a worker died or lost its lease while holding it.
    pub crashes: u32,
    /// Proof of this claim.
    pub fence: Fence,
    /// When the lease ends unless renewed, by the store's clock.
    pub lease_expires_at: Timestamp,
    /// How long the lease lasts from each renewal.
    pub lease: Duration,
    /// When it was enqueued, by the store's clock.
    pub enqueued_at: Timestamp,
    /// How long one attempt may run, where the producer said so.
    pub timeout: Option<Duration>,
    /// The tasks that it waited for.
    pub depends_on: Vec<Dependency>,
    /// The user on whose behalf it runs.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// The id that joins it to the request.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Ready.
    Queued,
    /// Not due yet, and never tried.
    Delayed,
    /// On tasks that it depends on.
    Waiting,
    /// Held back by the brake.
    Parked,
    /// Under lease.
    Active,
    /// Finished well.
    Completed,
    /// Between attempts.
    Failed,
    /// In the dead letters.
    Dead,
    /// Called off.
    Cancelled,
}

/// What anyone may ask about a task. Kept for the configured retention after it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its id.
    pub id: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Its kind.
    pub kind: String,
    /// Its level.
    pub priority: Priority,
    /// Where it is.
    pub state: TaskState,
    /// Attempts started.
    pub attempts: u32,
    /// Failed attempts after which it goes to the dead letters.
    pub max_attempts: NonZeroU32,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it becomes ready, while it is delayed or between attempts.
    pub due_at: Option<Timestamp>,
    /// When it is too late to start.
    pub expires_at: Option<Timestamp>,
    /// When the current or last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended: completed, dead or cancelled.
    pub finished_at: Option<Timestamp>,
    /// Who holds it, or held it last.
    pub worker_id: Option<String>,
    /// JSON text of its result.
    pub result: Option<Bytes>,
    /// Why its last attempt failed, with its causes as [`error_chain`](Self::error_chain) tells them apart, or why it was
    /// called off.
    pub error: Option<String>,
    /// Its last attempts that failed or crashed, oldest first (Q-L31).
    pub history: Vec<PastAttempt>,
    /// The tasks that it waits for, or waited for.
    pub depends_on: Vec<Dependency>,
    /// The user on whose behalf it runs.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The id that joins it to the request.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Failed attempts before a task goes to the dead letters, unless it says otherwise.
pub const DEFAULT_MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();

// === impl Priority ===

impl Priority {
    /// Every level, in the order in which they are served.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The name on the wire and in keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

// === impl TaskOptions ===

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            priority: Priority::Normal,
            due: Due::Now,
            expires_at: None,
            timeout: None,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            retry: RetryPolicy::default(),
            lease: None,
            depends_on: Vec::new(),
            on_failure: OnFailure::Fail,
            user_id: None,
            project_id: None,
            tenant_id: None,
            tags: Vec::new(),
            idempotency_key: None,
            unique: None,
            retention: None,
            correlation_id: None,
            traceparent: None,
        }
    }
}

// === impl NewTask ===

impl NewTask {
    /// A new task for `queue` with default options; `payload` is JSON text.
    ///
    /// ```
    /// use trackside_core::QueueName;
    /// use trackside_queue::{NewTask, Priority, TaskOptions};
    /// let queue: QueueName = "exports".parse()?;
    /// let task = NewTask::new(&queue, "report.render", r#"{"month": "2026-10"}"#)
    ///     .with(TaskOptions { priority: Priority::High, ..TaskOptions::default() });
    /// assert!(task.id.may_belong_to(&queue));
    /// # Ok::<(), trackside_core::InvalidName>(())
    /// ```
    #[must_use]
    pub fn new(queue: &QueueName, kind: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        let (kind, payload) = (kind.into(), payload.into());
        Self { id: TaskId::generate(queue), kind, payload, options: TaskOptions::default() }
    }

    /// Where it is when it comes into a queue, as far as it tells by itself.
    pub(crate) fn beginning(&self) -> Enqueued {
        let state = match self.options.due {
            _ if !self.options.depends_on.is_empty() => TaskState::Waiting,
            Due::Now => TaskState::Queued,
            Due::After(_) | Due::At(_) => TaskState::Delayed,
        };
        Enqueued { id: self.id, state, replayed: false }
    }

    /// The same task with these options.
    #[must_use]
    pub fn with(mut self, options: TaskOptions) -> Self {
        self.options = options;
        self
    }
}

// === impl TaskStatus ===

impl TaskStatus {
    /// Why it failed or was called off, and what caused that, outermost first; empty when there is no error.
    pub fn error_chain(&self) -> impl Iterator<Item = &str> {
        self.error.as_deref().into_iter().flat_map(causes::split)
    }
}

// === impl TaskState ===

impl TaskState {
    /// True when nothing will happen to the task any more.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}
