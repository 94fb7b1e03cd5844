//! `/v1/queues/{queue}/repair`: returns tasks that are in no place.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trackside_core::QueueName;
use trackside_queue::RepairCursor;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::require;
use crate::{
    ApiState,
    extract::{OptionalJson, StrictPath},
    problem::Problem,
};

/// Where a repair goes on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairRequest, example = json!({"cursor": "0.4096"}))]
struct Request {
    /// `next_cursor` of the call before; the first call has none.
    cursor: Option<String>,
}

/// What one call of a repair did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"looked_at": 4096, "repaired": 1, "next_cursor": "0.4096"}))]
struct Repaired {
    /// Tasks, and entries of places, that it looked at.
    looked_at: u64,
    /// Tasks that got a place again, and entries dropped because they named no task.
    repaired: u64,
    /// Send it as `cursor` to go on; `null` after the last call.
    next_cursor: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(repair))
}

/// Return tasks that are in no place
///
/// For a queue whose audit counts tasks as `unplaced`: they return to the tail of their level, and entries that name no
/// task are dropped. A sound queue stays as it is, also while workers are busy. One call looks at some thousand tasks and
/// says where to go on. A task whose record is gone cannot be brought back, and the audit goes on to tell of it.
#[utoipa::path(
    post, path = "/v1/queues/{queue}/repair", tag = "queues", operation_id = "repair_queue",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    request_body = Option<Request>, responses((status = OK, body = Repaired))
)]
async fn repair(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    OptionalJson(request): OptionalJson<Request>,
) -> Result<Json<Repaired>, Problem> {
    require(&state, &queue).await?;
    let cursor = request.cursor.map(|text| text.parse::<RepairCursor>()).transpose();
    let cursor = cursor.map_err(|_| Problem::invalid_field("cursor", "not one that a repair handed out"))?;
    let page = state.queues.repair(&queue, cursor).await?;
    Ok(Json(Repaired {
        looked_at: page.looked_at,
        repaired: page.repaired,
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}
