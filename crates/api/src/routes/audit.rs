//! `/v1/queues/{queue}/audit`: whether every task is accounted for.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_core::QueueName;
use trackside_queue::QueueAudit;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::require;
use crate::{ApiState, extract::StrictPath, problem::Problem};

/// Where every task is that was ever accepted, counted at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueAudit, example = json!({
    "queue": "agent_tasks", "created": 120, "ready": 4, "active": 2, "delayed": 1, "waiting": 0, "parked": 0,
    "completed": 110, "dead": 1, "cancelled": 2, "purged": 0, "unadopted": 0, "unplaced": 0, "balanced": true
}))]
pub(crate) struct AuditView {
    queue: String,
    /// Tasks ever accepted.
    created: u64,
    ready: u64,
    active: u64,
    delayed: u64,
    waiting: u64,
    parked: u64,
    completed: u64,
    dead: u64,
    cancelled: u64,
    /// Dead letters removed for good.
    purged: u64,
    /// Elements that a plain Redis client pushed and no worker has met: not in `created` yet.
    unadopted: u64,
    /// Tasks that no worker will ever meet, because somebody wrote into the keys of the queue or the server lost
    /// writes.
    unplaced: u64,
    /// Whether `created` is the sum of the places and the ends.
    balanced: bool,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Whether every task is accounted for
///
/// Two counts that know nothing of each other: what was noted when tasks came and ended, and what stands in the places
/// of the queue now. Both are taken at one moment, so that the balance holds while workers are busy.
#[utoipa::path(
    get, path = "/v1/queues/{queue}/audit", tag = "queues", operation_id = "audit_queue",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = AuditView))
)]
async fn audit(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<AuditView>, Problem> {
    require(&state, &queue).await?;
    let audit = state.queues.audit(&queue).await?;
    Ok(Json(AuditView::of(&queue, &audit)))
}

// === impl AuditView ===

impl AuditView {
    fn of(queue: &QueueName, audit: &QueueAudit) -> Self {
        Self {
            queue: queue.to_string(),
            created: audit.created,
            ready: audit.ready,
            active: audit.active,
            delayed: audit.delayed,
            waiting: audit.waiting,
            parked: audit.parked,
            completed: audit.completed,
            dead: audit.dead,
            cancelled: audit.cancelled,
            purged: audit.purged,
            unadopted: audit.unadopted,
            unplaced: audit.unplaced,
            balanced: audit.is_balanced(),
        }
    }
}
