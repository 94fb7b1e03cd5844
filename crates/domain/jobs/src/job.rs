//! What a job is: one run of a tool that somebody asked for, and what became of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::{CorrelationId, QueueName, TaskId, Timestamp, UserId};

use crate::JobOutput;

/// Where a job is in its life.
///
/// ```
/// use trackside_jobs::JobState;
/// assert_eq!(JobState::Parked.as_str(), "parked");
/// assert!(JobState::Cancelled.is_finished() && !JobState::Parked.is_finished());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits in its queue, for the first time or again.
    Queued,
    /// A worker runs it.
    Running,
    /// It ended well.
    Completed,
    /// It ended badly.
    Failed,
    /// It was called off.
    Cancelled,
    /// The brake stopped it or keeps it from starting; it runs when the brake is released.
    Parked,
}

/// Everything that is known of a job; a row of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id, which is the id of its task in the queue.
    pub job_id: TaskId,
    /// The tool.
    pub tool: String,
    /// The parameters, with defaults.
    pub params: Value,
    /// The queue it waits in.
    pub queue: QueueName,
    /// The user on whose behalf it runs.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The id that joins it to the request.
    pub correlation_id: CorrelationId,
    /// Which claim of the task this was written under: the queue's fence, 0 before the first claim.
    pub run: u64,
    /// Where it is.
    #[serde(rename = "status")]
    pub state: JobState,
    /// How far it is.
    pub progress: JobProgress,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Who ran it.
    pub worker_id: Option<String>,
    /// The files it left.
    pub outputs: Vec<JobOutput>,
    /// The exit code of its last run, where it exited by itself.
    pub exit_code: Option<i32>,
    /// Why it failed or was called off.
    pub error: Option<String>,
}

/// How far a job is, in its tool's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobProgress {
    /// 0 to 100.
    pub percent: f32,
    /// What it is doing.
    pub message: Option<String>,
}

/// Where the answer to "how is my job" came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobSource {
    /// This process, which runs it.
    Memory,
    /// The status store.
    Status,
    /// The history.
    History,
}

/// A job as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// What is known of it.
    pub record: JobRecord,
    /// Who knew.
    pub source: JobSource,
}

// === impl JobState ===

impl JobState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Parked];

    /// True when nothing will happen to the job by itself any more.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The name on the wire and in the history.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

// === impl JobRecord ===

impl JobRecord {
    /// How late in the life of one run the record is. Together with [`run`](Self::run) it orders what is written:
    /// within one run, nothing earlier replaces anything later.
    #[must_use]
    pub const fn phase(&self) -> i32 {
        match (self.state, self.run) {
            (JobState::Queued, 0) => 0,
            (JobState::Running, _) => 1,
            (JobState::Queued | JobState::Parked, _) => 2,
            (JobState::Completed | JobState::Failed | JobState::Cancelled, _) => 3,
        }
    }

    /// Whether this record may replace `known`, by the laws of the history.
    #[must_use]
    pub fn supersedes(&self, known: &Self) -> bool {
        let is_final = matches!(known.state, JobState::Completed | JobState::Cancelled);
        !is_final && (self.run, self.phase()) >= (known.run, known.phase())
    }
}
