//! `/v1/queues/{queue}/workers`: who works on a queue.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_core::{QueueName, Timestamp};
use trackside_queue::{HeldTask, WorkerStatus};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::require;
use crate::{
    ApiState,
    extract::{StrictPath, StrictQuery},
    problem::Problem,
    wire::PageQuery,
};

/// A page of the workers of a queue, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workers)]
struct Workers {
    queue: String,
    workers: Vec<WorkerView>,
    /// Ask with it for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// A worker: a process of the service, or whoever leases tasks over HTTP.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker, example = json!({
    "worker_id": "py-worker-1", "since": "2026-11-20T11:58:00.000Z", "last_seen_at": "2026-11-20T12:00:03.000Z",
    "slots": 4, "active": 1,
    "tasks": [{"task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "started_at": "2026-11-20T12:00:03.000Z"}]
}))]
struct WorkerView {
    worker_id: String,
    /// When it was first seen.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When it last asked for tasks or took one, a few seconds old at most. A worker that holds nothing and was not seen
    /// for a minute is not listed.
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// How many tasks of this queue it takes at once; of a worker over HTTP, what it asks for besides what it holds.
    slots: u64,
    /// Tasks that it has under lease.
    active: u64,
    /// The first 32 of them.
    tasks: Vec<HeldView>,
}

/// A task in the hands of a worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldTask)]
struct HeldView {
    task_id: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(workers))
}

/// Who works on a queue, and on what
#[utoipa::path(
    get, path = "/v1/queues/{queue}/workers", tag = "queues", operation_id = "list_workers",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks"), PageQuery),
    responses((status = OK, body = Workers))
)]
async fn workers(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictQuery(page): StrictQuery<PageQuery>,
) -> Result<Json<Workers>, Problem> {
    require(&state, &queue).await?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let workers = state.queues.workers(&queue).await?;
    let mut rest = workers.into_iter().filter(|worker| worker.id.as_str() > after);
    let workers: Vec<WorkerView> = rest.by_ref().take(page.limit()).map(Into::into).collect();
    let is_last = rest.next().is_none();
    let next_cursor = workers.last().filter(|_| !is_last).map(|worker| worker.worker_id.clone());
    Ok(Json(Workers { queue: queue.to_string(), workers, next_cursor }))
}

// === impl WorkerView, HeldView ===

impl From<WorkerStatus> for WorkerView {
    fn from(worker: WorkerStatus) -> Self {
        Self {
            worker_id: worker.id.to_string(),
            since: worker.since,
            last_seen_at: worker.last_seen_at,
            slots: worker.slots,
            active: worker.active,
            tasks: worker.tasks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<HeldTask> for HeldView {
    fn from(task: HeldTask) -> Self {
        Self { task_id: task.id.to_string(), started_at: task.started_at }
    }
}
