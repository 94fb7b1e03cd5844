//! `/v1/queues/{queue}/scale`: what an autoscaler reads.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_core::QueueName;
use trackside_queue::QueueStats;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::{ScaleHint, require};
use crate::{ApiConfig, ApiState, extract::StrictPath, problem::Problem, wire};

/// The work of a queue in numbers for an autoscaler. KEDA's `metrics-api` trigger reads one of them with
/// `valueLocation: desired_load`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueScale, example = json!({
    "queue": "agent_tasks", "backlog": 57, "running": 4, "desired_load": 61, "oldest_age_ms": 1250, "scale_hint": "up"
}))]
struct ScaleView {
    queue: String,
    /// Ready tasks of all levels.
    backlog: u64,
    /// Tasks under lease. They count: a scaler that reads the backlog alone takes away workers that are busy.
    running: u64,
    /// What there is to do: backlog and running together; of a paused queue only what runs. Divide it by the tasks
    /// that one worker process runs at once to know how many are needed.
    desired_load: u64,
    /// Age of the oldest ready task; `null` when none is ready.
    oldest_age_ms: Option<u64>,
    scale_hint: ScaleHint,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(scale))
}

/// What an autoscaler reads
#[utoipa::path(
    get, path = "/v1/queues/{queue}/scale", tag = "queues", operation_id = "get_queue_scale",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = ScaleView))
)]
async fn scale(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<ScaleView>, Problem> {
    require(&state, &queue).await?;
    let stats = state.queues.stats(&queue).await?;
    Ok(Json(ScaleView::of(&queue, &stats, &state.config)))
}

// === impl ScaleView ===

impl ScaleView {
    fn of(queue: &QueueName, stats: &QueueStats, config: &ApiConfig) -> Self {
        let backlog = stats.ready.iter().sum();
        let wanted = if stats.paused { 0 } else { backlog };
        Self {
            queue: queue.to_string(),
            backlog,
            running: stats.active,
            desired_load: wanted + stats.active,
            oldest_age_ms: stats.oldest_age.map(wire::millis),
            scale_hint: ScaleHint::of(wanted, config),
        }
    }
}
