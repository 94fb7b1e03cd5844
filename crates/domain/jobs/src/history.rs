//! The port of the job history: a row per job, kept in a database.

mod postgres;
mod sql;
mod sqlite;

use std::fmt::Debug;

use async_trait::async_trait;
use trackside_core::{ErrorKind, TaskId, Timestamp, UserId};

pub use postgres::PostgresJobHistory;
pub use sqlite::SqliteJobHistory;

use crate::{Error, JobRecord, JobState};

/// Jobs in one page of a list, at most.
pub const MAX_PAGE: u32 = 500;

/// Where the history of jobs lives.
///
/// # Laws
/// Each law but the last is a function in the `conformance` module and is run against every history; the last one takes
/// a database that is closed and opened, so each history has a test of its own.
///
/// - **J-L1 one row** — saving a job again changes its row and never makes a second one.
/// - **J-L2 forward only** — a record replaces the known one only if its run is later, or the run is the same and its
///   phase is not earlier ([`JobRecord::supersedes`]); completed and cancelled jobs are never replaced. What is not
///   applied is no error.
/// - **J-L3 origin kept** — who asked for what and when is that of the first save.
/// - **J-L4 faithful** — what was saved is read back the same, whatever text it holds.
/// - **J-L5 newest first** — a list is ordered by job id, newest first, and its pages neither repeat nor skip a job
///   that existed when the first page was read.
/// - **J-L6 filters** — a list holds the jobs that match every filter given, and no other.
/// - **J-L7 unfinished** — the unfinished jobs are those that are queued, running or parked, oldest first.
/// - **J-L8 pruning** — pruning removes finished jobs that ended before a time, and no other.
/// - **J-L9 durable** — a row that was saved is there when the database is opened again.
#[async_trait]
pub trait JobHistory: Send + Sync + Debug + 'static {
    /// Writes what is known of a job (J-L1 to J-L3). May be repeated. Answers whether it was applied.
    async fn save(&self, record: &JobRecord) -> Result<bool, Error>;

    /// A job by its id.
    async fn get(&self, id: TaskId) -> Result<Option<JobRecord>, Error>;

    /// Up to `limit` (at most [`MAX_PAGE`]) jobs that match, those after `after` in the order of the list (J-L5, J-L6).
    async fn list(&self, filter: &JobFilter, after: Option<TaskId>, limit: u32) -> Result<Vec<JobRecord>, Error>;

    /// Up to `limit` (at most [`MAX_PAGE`]) unfinished jobs after `after`, oldest first (J-L7).
    async fn unfinished(&self, after: Option<TaskId>, limit: u32) -> Result<Vec<JobRecord>, Error>;

    /// How many jobs there are in each state.
    async fn counts(&self) -> Result<Vec<(JobState, u64)>, Error>;

    /// Removes finished jobs that ended before `before` (J-L8); answers how many.
    async fn prune(&self, before: Timestamp) -> Result<u64, Error>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), Error>;
}

/// Which jobs a list holds; `None` holds all.
///
/// ```
/// use trackside_jobs::{JobFilter, JobState};
/// let failed = JobFilter { state: Some(JobState::Failed), ..JobFilter::default() };
/// assert_eq!(failed.tool, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this tool.
    pub tool: Option<String>,
    /// On behalf of this user.
    pub user_id: Option<UserId>,
    /// In this state.
    pub state: Option<JobState>,
    /// Asked for at or after this time.
    pub since: Option<Timestamp>,
    /// Asked for before this time.
    pub until: Option<Timestamp>,
}

/// Names a failed database operation and says how it failed.
pub(crate) fn database_error(operation: &'static str, source: sqlx::Error) -> Error {
    let kind = match &source {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => ErrorKind::Unavailable,
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => ErrorKind::Timeout,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::InvalidData,
        sqlx::Error::Database(_) => ErrorKind::Refused,
        _ => ErrorKind::Internal,
    };
    Error::Store { store: "job history", operation, kind, source: Box::new(source) }
}
