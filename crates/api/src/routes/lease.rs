//! `/v1/queues/{queue}/lease`: how a worker in any language gets tasks.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{QueueName, Timestamp, WorkerId};
use trackside_queue::{ClaimedTask, LeaseRequest};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::{StrictJson, StrictPath},
    problem::Problem,
    wire::{self, Priority},
};

/// What a worker asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeaseRequest, example = json!({"worker_id": "py-worker-1", "max_tasks": 4, "lease_ms": 30000, "wait_ms": 20000}))]
struct Request {
    /// Who asks: 1 to 128 printable ASCII characters. Use a new one at each start.
    #[schema(value_type = String)]
    worker_id: WorkerId,
    /// Most tasks to hand out: 1 to 256; 1 when left out.
    max_tasks: Option<usize>,
    /// How long the leases last unless extended; the service's setting when left out.
    lease_ms: Option<u64>,
    /// How long to wait for a first task; 0 answers at once. At most 30 s.
    wait_ms: Option<u64>,
}

/// Tasks under lease; none when there was nothing to do in time.
#[derive(Debug, Serialize, ToSchema)]
struct Leased {
    tasks: Vec<LeasedTask>,
}

/// A task under lease: settle it with `ack` or `fail` and its `fence` before `lease_expires_at`, or extend the lease.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "kind": "report.render", "payload": {"month": "2026-10"},
    "attempt": 1, "max_attempts": 3, "fence": 17, "lease_expires_at": "2026-11-20T12:00:30.000Z", "priority": "normal",
    "enqueued_at": "2026-11-20T12:00:00.000Z", "timeout_ms": null, "depends_on": [], "user_id": "user-42", "project_id": null,
    "tenant_id": null, "correlation_id": "order-7", "traceparent": null
}))]
struct LeasedTask {
    task_id: String,
    kind: String,
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
    /// Which attempt this is, from 1.
    attempt: u32,
    max_attempts: u32,
    /// Proof of this lease.
    fence: u64,
    #[schema(value_type = String, format = DateTime)]
    lease_expires_at: Timestamp,
    priority: Priority,
    #[schema(value_type = String, format = DateTime)]
    enqueued_at: Timestamp,
    /// How long the attempt may run, where the producer said so.
    timeout_ms: Option<u64>,
    /// The tasks that it waited for: what they brought is at `/v1/tasks/{id}`.
    depends_on: Vec<String>,
    user_id: Option<String>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    correlation_id: String,
    /// The trace to continue.
    traceparent: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(lease))
}

/// Lease tasks, waiting for a first one
///
/// Tasks that were leased for a caller who had hung up meanwhile are given back and the attempt is not counted.
#[utoipa::path(
    post, path = "/v1/queues/{queue}/lease", tag = "queues", operation_id = "lease_tasks",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    request_body = Request, responses((status = OK, body = Leased))
)]
async fn lease(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictJson(request): StrictJson<Request>,
) -> Result<Json<Leased>, Problem> {
    if request.max_tasks == Some(0) {
        return Err(Problem::invalid_field("max_tasks", "at least 1"));
    }
    let wait = Duration::from_millis(request.wait_ms.unwrap_or(0)).min(state.config.max_lease_wait);
    let wanted = LeaseRequest {
        worker_id: request.worker_id,
        max_tasks: request.max_tasks.unwrap_or(1),
        lease: request.lease_ms.map(Duration::from_millis),
        wait,
    };
    let claimed = tokio::select! {
        claimed = state.queues.lease(&queue, wanted) => claimed?,
        // Whatever is claimed at this moment is given back: leasing is cancel-safe.
        () = state.shutdown.cancelled() => Vec::new(),
    };
    Ok(Json(Leased { tasks: claimed.into_iter().map(Into::into).collect() }))
}

// === impl LeasedTask ===

impl From<ClaimedTask> for LeasedTask {
    fn from(task: ClaimedTask) -> Self {
        Self {
            task_id: task.id.to_string(),
            kind: task.kind,
            payload: wire::json_text(&task.payload),
            attempt: task.attempt,
            max_attempts: task.max_attempts.get(),
            fence: task.fence.0,
            lease_expires_at: task.lease_expires_at,
            priority: task.priority.into(),
            enqueued_at: task.enqueued_at,
            timeout_ms: task.timeout.map(wire::millis),
            depends_on: wire::ids_of(&task.depends_on),
            user_id: task.user_id.map(|id| id.to_string()),
            project_id: task.project_id,
            tenant_id: task.tenant_id,
            correlation_id: task.correlation_id.to_string(),
            traceparent: task.traceparent.map(|parent| parent.to_string()),
        }
    }
}
