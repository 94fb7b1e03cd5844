//! `/v1/tasks/{id}/predecessors`: what became of the tasks that a task waits for, or waited for.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{TaskId, Timestamp};
use trackside_queue::Predecessor;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    access::{Caller, Owner},
    extract::{StrictPath, StrictQuery},
    problem::Problem,
    wire::{self, TaskState},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Most tasks shown: 1 to 256, 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A part of the tasks that a task waits for, in the order in which it names them.
#[derive(Debug, Serialize, ToSchema)]
struct Predecessors {
    predecessors: Vec<PredecessorView>,
    /// Send it as `cursor` to go on; `null` after the last one.
    next_cursor: Option<String>,
}

/// A task that another one waits for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Predecessor, example = json!({
    "task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "queue": "pages", "status": "completed",
    "finished_at": "2026-11-20T12:00:03.450Z", "result": {"pages": 12}, "error": null
}))]
struct PredecessorView {
    task_id: String,
    queue: String,
    /// `null` when nothing is known of it any more.
    status: Option<TaskState>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why its last attempt failed, or why it was called off.
    error: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(predecessors))
}

/// The tasks that a task waits for, with their results
///
/// Of tasks in whatever queues, in the order in which the task names them. A result is known for the retention of its task.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/predecessors", tag = "tasks", operation_id = "get_task_predecessors",
    params(("id" = String, Path, description = "The task's id", example = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11"), PageQuery),
    responses((status = OK, body = Predecessors))
)]
async fn predecessors(
    State(state): State<ApiState>,
    caller: Caller,
    StrictPath(id): StrictPath<TaskId>,
    StrictQuery(query): StrictQuery<PageQuery>,
) -> Result<Json<Predecessors>, Problem> {
    let from = match query.cursor.as_deref().map(str::parse::<usize>) {
        None => 0,
        Some(Ok(from)) => from,
        Some(Err(_)) => return Err(Problem::invalid_field("cursor", "not one that this list handed out")),
    };
    let limit = wire::page_limit(query.limit);
    let mut page = state.queues.predecessors(id, from, limit + 1).await?;
    let next_cursor = (page.len() > limit).then(|| (from + limit).to_string());
    page.truncate(limit);
    for predecessor in &mut page {
        // A flow may join the tasks of several users; a bound key learns of the others no more than that they are there.
        predecessor.status.take_if(|status| !caller.reaches(&Owner::from(&*status)));
    }
    Ok(Json(Predecessors { predecessors: page.into_iter().map(Into::into).collect(), next_cursor }))
}

// === impl PredecessorView ===

impl From<Predecessor> for PredecessorView {
    fn from(Predecessor { id, queue, status }: Predecessor) -> Self {
        let known = status.as_ref();
        Self {
            task_id: id.to_string(),
            queue: queue.to_string(),
            status: known.map(|status| status.state.into()),
            finished_at: known.and_then(|status| status.finished_at),
            result: known.and_then(|status| status.result.as_ref()).map(|result| wire::json_text(result)),
            error: known.and_then(|status| status.error.clone()),
        }
    }
}
