//! The port of job updates: the life cycle of every job, as it happens.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use trackside_core::{CorrelationId, TaskId, Timestamp, UserId};

use crate::{Error, JobRecord, JobState};

/// Updates that a slow subscriber may fall behind before it is told of a gap.
const CAPACITY: usize = 1_024;

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEvent {
    /// Somebody asked for it and the queue has it.
    JobCreated,
    /// A worker runs it; again, when it was stopped or its worker died.
    #[serde(alias = "job_running")]
    JobStarted,
    /// It ended well.
    JobCompleted,
    /// It ended badly or was called off; `status` tells which.
    JobFailed,
}

/// A message on `job_updates`.
///
/// ```
/// use trackside_jobs::JobUpdate;
/// let text = r#"{"event": "job_started", "job_id": "01980000-0000-7000-8000-000000000000", "tool": "word-index",
///     "status": "running", "at": "2026-01-01T00:00:00.000Z", "correlation_id": "request-7"}"#;
/// let update: JobUpdate = serde_json::from_str(text)?;
/// assert_eq!(update.tool, "word-index");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// What happened.
    pub event: JobEvent,
    /// To which job.
    pub job_id: TaskId,
    /// Of which tool.
    pub tool: String,
    /// Where the job is now.
    pub status: JobState,
    /// When.
    pub at: Timestamp,
    /// The user on whose behalf it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The id that joins it to the request.
    pub correlation_id: CorrelationId,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The process that published it, so that a process knows its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What a subscriber gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobUpdateEvent {
    /// An update.
    Update(Arc<JobUpdate>),
    /// Updates may be missing before this point; read the states again.
    Gap,
}

/// Where job updates are published.
///
/// # Laws
/// - **U-L1** an update that this process published reaches every subscriber of this process, whatever else is away.
/// - **U-L2** one subscriber sees an update once, and updates of one publisher in their order.
/// - **U-L3** a subscriber that may have missed updates is told so by a [`JobUpdateEvent::Gap`].
#[async_trait]
pub trait JobUpdates: Send + Sync + Debug + 'static {
    /// Publishes an update.
    ///
    /// # Errors
    /// When it did not reach other processes; this one's subscribers have it all the same (U-L1).
    async fn publish(&self, update: JobUpdate) -> Result<(), Error>;

    /// Every update from now on. Dropping the stream ends the subscription.
    fn subscribe(&self) -> BoxStream<'static, JobUpdateEvent>;
}

/// Job updates inside this process.
///
/// ```
/// use trackside_jobs::{JobUpdates, MemoryJobUpdates};
/// let updates = MemoryJobUpdates::default();
/// let _subscriber = updates.subscribe();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryJobUpdates {
    sender: broadcast::Sender<Arc<JobUpdate>>,
}

// === impl JobUpdate ===

impl JobUpdate {
    /// The update that says where a job is now; `None` for a state that is no event of its own: parked, or queued again.
    #[must_use]
    pub fn of(record: &JobRecord, at: Timestamp) -> Option<Self> {
        let event = match (record.state, record.run) {
            (JobState::Queued, 0) => JobEvent::JobCreated,
            (JobState::Running, _) => JobEvent::JobStarted,
            (JobState::Completed, _) => JobEvent::JobCompleted,
            (JobState::Failed | JobState::Cancelled, _) => JobEvent::JobFailed,
            (JobState::Queued | JobState::Parked, _) => return None,
        };
        Some(Self {
            event,
            job_id: record.job_id,
            tool: record.tool.clone(),
            status: record.state,
            at,
            user_id: record.user_id.clone(),
            correlation_id: record.correlation_id.clone(),
            error: record.error.clone(),
            source: None,
        })
    }
}

// === impl JobEvent ===

impl JobEvent {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobCreated => "job_created",
            Self::JobStarted => "job_started",
            Self::JobCompleted => "job_completed",
            Self::JobFailed => "job_failed",
        }
    }
}

// === impl MemoryJobUpdates ===

impl MemoryJobUpdates {
    /// Publishes without waiting for anything.
    pub(crate) fn send(&self, update: JobUpdate) {
        // The only error is that nobody subscribes, which is fine.
        let _ = self.sender.send(Arc::new(update));
    }
}

impl Default for MemoryJobUpdates {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

#[async_trait]
impl JobUpdates for MemoryJobUpdates {
    async fn publish(&self, update: JobUpdate) -> Result<(), Error> {
        self.send(update);
        Ok(())
    }

    fn subscribe(&self) -> BoxStream<'static, JobUpdateEvent> {
        let next = |mut receiver: broadcast::Receiver<Arc<JobUpdate>>| async {
            match receiver.recv().await {
                Ok(update) => Some((JobUpdateEvent::Update(update), receiver)),
                Err(RecvError::Lagged(_)) => Some((JobUpdateEvent::Gap, receiver)),
                Err(RecvError::Closed) => None,
            }
        };
        stream::unfold(self.sender.subscribe(), next).boxed()
    }
}
