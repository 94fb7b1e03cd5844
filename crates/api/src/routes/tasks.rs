//! `/v1/tasks/{id}`: what became of a task, and calling it off.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;
use trackside_core::{TaskId, Timestamp};
use trackside_queue::{CancelOutcome, PastAttempt, TaskStatus};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::StrictPath,
    problem::{Problem, ProblemKind},
    wire::{self, Priority, TaskState},
};

/// A task and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task, example = json!({
    "task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "queue": "agent_tasks", "kind": "report.render",
    "priority": "normal", "status": "completed", "attempts": 1, "max_attempts": 3,
    "enqueued_at": "2026-11-20T12:00:00.000Z", "due_at": null, "expires_at": null, "started_at": "2026-11-20T12:00:00.120Z",
    "finished_at": "2026-11-20T12:00:03.450Z", "worker_id": "py-worker-1", "result": {"pages": 12}, "error": null,
    "error_chain": [], "history": [{"attempt": 1, "started_at": "2026-11-20T12:00:00.020Z",
    "ended_at": "2026-11-20T12:00:00.090Z", "worker_id": "py-worker-1", "error": "printer on fire"}],
    "depends_on": [],
    "user_id": "user-42", "project_id": null, "tenant_id": null, "tags": ["monthly"],
    "correlation_id": "order-7"
}))]
pub(crate) struct TaskView {
    task_id: String,
    queue: String,
    kind: String,
    priority: Priority,
    status: TaskState,
    /// Attempts started.
    attempts: u32,
    max_attempts: u32,
    #[schema(value_type = String, format = DateTime)]
    enqueued_at: Timestamp,
    /// When it becomes ready, while it is delayed or between attempts.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// When it is too late to start.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When the current or last attempt started.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Who holds it, or held it last.
    worker_id: Option<String>,
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why its last attempt failed, or why it was called off.
    error: Option<String>,
    /// What caused the error, outermost first.
    error_chain: Vec<String>,
    /// Its last attempts that failed or whose worker died, oldest first, ten at most.
    history: Vec<PastAttemptView>,
    /// The tasks that it waits for, or waited for.
    depends_on: Vec<String>,
    user_id: Option<String>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    tags: Vec<String>,
    correlation_id: String,
}

/// An attempt that failed, or whose worker died.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PastAttempt)]
struct PastAttemptView {
    /// From 1; one whose worker died is not counted, so that the next has the same number.
    attempt: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    worker_id: String,
    /// The first 256 bytes.
    error: String,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_task, cancel))
}

/// A task and what became of it
///
/// Known until the configured retention after its end.
#[utoipa::path(
    get, path = "/v1/tasks/{id}", tag = "tasks", operation_id = "get_task",
    params(("id" = String, Path, description = "The task's id", example = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11")),
    responses((status = OK, body = TaskView))
)]
async fn get_task(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(require(&state, id).await?.into()))
}

/// Call a task off
///
/// A task that waits will never run. One that runs is ordered to stop: 202, and its worker obeys at the latest when it
/// renews its lease. One that has ended is left as it is: 409.
#[utoipa::path(
    delete, path = "/v1/tasks/{id}", tag = "tasks", operation_id = "cancel_task",
    params(("id" = String, Path, description = "The task's id", example = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11")),
    responses(
        (status = OK, body = TaskView, description = "Called off"),
        (status = ACCEPTED, body = TaskView, description = "Its worker is told to stop")
    )
)]
async fn cancel(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
) -> Result<(http::StatusCode, Json<TaskView>), Problem> {
    let code = match state.queues.cancel(id, "cancelled over HTTP").await? {
        CancelOutcome::Cancelled => http::StatusCode::OK,
        CancelOutcome::Ordered => http::StatusCode::ACCEPTED,
        CancelOutcome::AlreadyFinished(trackside_queue::TaskState::Cancelled) => http::StatusCode::OK,
        CancelOutcome::AlreadyFinished(ended) => {
            let detail = format!("the task has ended: it is {}", ended.as_str());
            return Err(Problem::new(ProblemKind::Conflict).with_detail(detail));
        }
    };
    let status = require(&state, id).await?;
    if code == http::StatusCode::OK {
        super::task_events::record(&state, id, status.state, None).await;
    }
    Ok((code, Json(status.into())))
}

/// The status of a task that is known.
pub(crate) async fn require(state: &ApiState, id: TaskId) -> Result<TaskStatus, Problem> {
    state.queues.status(id).await?.ok_or_else(|| Problem::not_found("task", id))
}

// === impl TaskView ===

impl From<TaskStatus> for TaskView {
    fn from(task: TaskStatus) -> Self {
        let mut chain = task.error_chain().map(str::to_owned);
        let (error, error_chain) = (chain.next(), chain.collect());
        Self {
            task_id: task.id.to_string(),
            queue: task.queue.to_string(),
            kind: task.kind,
            priority: task.priority.into(),
            status: task.state.into(),
            attempts: task.attempts,
            max_attempts: task.max_attempts.get(),
            enqueued_at: task.enqueued_at,
            due_at: task.due_at,
            expires_at: task.expires_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
            worker_id: task.worker_id,
            result: task.result.map(|result| wire::json_text(&result)),
            error,
            error_chain,
            history: task.history.into_iter().map(Into::into).collect(),
            depends_on: wire::ids_of(&task.depends_on),
            user_id: task.user_id.map(|id| id.to_string()),
            project_id: task.project_id,
            tenant_id: task.tenant_id,
            tags: task.tags,
            correlation_id: task.correlation_id.to_string(),
        }
    }
}

// === impl PastAttemptView ===

impl From<PastAttempt> for PastAttemptView {
    fn from(past: PastAttempt) -> Self {
        Self {
            attempt: past.attempt,
            started_at: past.started_at,
            ended_at: past.ended_at,
            worker_id: past.worker_id,
            error: past.error,
        }
    }
}
