//! `/api/jobs`, `/api/jobs/{id}`: what was asked for and what became of it.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trackside_core::{TaskId, Timestamp, UserId};
use trackside_jobs::{JobFilter, JobRecord, JobState};
use trackside_queue::{CancelOutcome, TaskState};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    access::{Caller, Owner},
    extract::{StrictPath, StrictQuery},
    problem::{Problem, ProblemKind},
};

/// Jobs of a page when the request does not say.
const DEFAULT_PAGE: u32 = 50;

/// A job: one run of a tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job, example = json!({
    "job_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "tool": "word-index", "status": "completed",
    "progress": {"percent": 100.0, "message": "12 files"}, "created_at": "2026-11-20T12:00:00.000Z",
    "started_at": "2026-11-20T12:00:00.120Z", "finished_at": "2026-11-20T12:00:03.450Z",
    "outputs": [{"name": "index.json", "bytes": 2048, "content_type": "application/json",
                 "href": "/api/jobs/0198c2d4-7c1e-7448-8000-0d7f5a2f4c11/outputs/index.json"}],
    "error": null, "params": {"input": "texts", "top": 20}, "queue": "agent_tasks", "user_id": "user-42",
    "project_id": null, "worker_id": "worker-4711-00c0ffee00c0ffee", "exit_code": 0, "correlation_id": "order-7"
}))]
pub(crate) struct JobView {
    job_id: String,
    tool: String,
    #[schema(value_type = JobStatus)]
    status: JobStatus,
    progress: ProgressView,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    outputs: Vec<OutputView>,
    /// Why it failed or was called off.
    error: Option<String>,
    /// The parameters, with defaults.
    params: serde_json::Value,
    queue: String,
    user_id: Option<String>,
    project_id: Option<String>,
    worker_id: Option<String>,
    exit_code: Option<i32>,
    correlation_id: String,
}

/// Where a job is. `parked`: the brake stopped it or keeps it from starting.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
    Parked,
}

/// How far a job is, in its tool's words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobProgress)]
struct ProgressView {
    percent: f32,
    message: Option<String>,
}

/// A file that a job left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobOutput)]
struct OutputView {
    /// Its path in the job's folder.
    name: String,
    bytes: u64,
    content_type: String,
    /// Where to download it.
    href: String,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct JobPage {
    jobs: Vec<JobView>,
    /// Ask with it for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobsQuery {
    /// Of this tool.
    tool: Option<String>,
    /// On behalf of this user.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// In this state.
    status: Option<JobStatus>,
    /// Asked for at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Asked for before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Most jobs of the page: 1 to 500, 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get_job, cancel))
}

/// Jobs, newest first
///
/// A key that is bound to users or projects sees their jobs only, and pages that may be shorter for it.
#[utoipa::path(
    get, path = "/api/jobs", tag = "tools and jobs", operation_id = "list_jobs", params(JobsQuery),
    responses((status = OK, body = JobPage))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    StrictQuery(query): StrictQuery<JobsQuery>,
) -> Result<Json<JobPage>, Problem> {
    let filter = JobFilter {
        tool: query.tool,
        user_id: caller.narrow(query.user_id)?,
        state: query.status.map(Into::into),
        since: query.since,
        until: query.until,
    };
    let page = state.jobs.list(&filter, query.cursor.as_deref(), query.limit.unwrap_or(DEFAULT_PAGE)).await?;
    let own = page.jobs.into_iter().filter(|job| caller.reaches(&Owner::from(job)));
    Ok(Json(JobPage { jobs: own.map(Into::into).collect(), next_cursor: page.next }))
}

/// A job and what became of it
#[utoipa::path(
    get, path = "/api/jobs/{id}", tag = "tools and jobs", operation_id = "get_job",
    params(("id" = String, Path, description = "The job's id")), responses((status = OK, body = JobView))
)]
async fn get_job(State(state): State<ApiState>, StrictPath(id): StrictPath<TaskId>) -> Result<Json<JobView>, Problem> {
    Ok(Json(require(&state, id).await?.into()))
}

/// Call a job off
///
/// A job that waits will never run. One that runs is stopped with all its processes: 202. One that has ended is left as
/// it is: 409.
#[utoipa::path(
    delete, path = "/api/jobs/{id}", tag = "tools and jobs", operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = OK, body = JobView, description = "Called off"),
        (status = ACCEPTED, body = JobView, description = "It is being stopped")
    )
)]
async fn cancel(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let code = match state.jobs.cancel(id, "cancelled over HTTP").await? {
        CancelOutcome::Cancelled | CancelOutcome::AlreadyFinished(TaskState::Cancelled) => StatusCode::OK,
        CancelOutcome::Ordered => StatusCode::ACCEPTED,
        CancelOutcome::AlreadyFinished(ended) => {
            let detail = format!("the job has ended: its task is {}", ended.as_str());
            return Err(Problem::new(ProblemKind::Conflict).with_detail(detail));
        }
    };
    Ok((code, Json(require(&state, id).await?.into())))
}

/// A job that is known.
pub(crate) async fn require(state: &ApiState, id: TaskId) -> Result<JobRecord, Problem> {
    let view = state.jobs.get(id).await?.ok_or_else(|| Problem::not_found("job", id))?;
    Ok(view.record)
}

// === impl JobView, JobStatus ===

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        let outputs = job.outputs.into_iter().map(|output| OutputView {
            href: format!("/api/jobs/{}/outputs/{}", job.job_id, super::job_outputs::encode(&output.name)),
            name: output.name,
            bytes: output.bytes,
            content_type: output.content_type,
        });
        Self {
            job_id: job.job_id.to_string(),
            tool: job.tool,
            status: job.state.into(),
            progress: ProgressView { percent: job.progress.percent, message: job.progress.message },
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            outputs: outputs.collect(),
            error: job.error,
            params: job.params,
            queue: job.queue.to_string(),
            user_id: job.user_id.map(|id| id.to_string()),
            project_id: job.project_id,
            worker_id: job.worker_id,
            exit_code: job.exit_code,
            correlation_id: job.correlation_id.to_string(),
        }
    }
}

impl From<JobState> for JobStatus {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Completed => Self::Completed,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Parked => Self::Parked,
        }
    }
}

impl From<JobStatus> for JobState {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Queued => Self::Queued,
            JobStatus::Running => Self::Running,
            JobStatus::Completed => Self::Completed,
            JobStatus::Failed => Self::Failed,
            JobStatus::Cancelled => Self::Cancelled,
            JobStatus::Parked => Self::Parked,
        }
    }
}
