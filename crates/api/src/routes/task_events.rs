//! `/v1/tasks/{id}/events`: a task's life as a stream, and what the task routes add to it.
//!
//! A task's operation has the task's id. It comes into being when somebody reports or follows first, so that a task
//! nobody looks at costs nothing.

use axum::{extract::State, response::Response};
use serde_json::{Value, json};
use trackside_core::TaskId;
use trackside_progress::{Error, EventKind, FinalStatus, Lookup, NewOperation, ProgressId, Status, Update};
use trackside_queue::TaskState;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::tasks::require;
use crate::{
    ApiState,
    extract::StrictPath,
    problem::Problem,
    sse::{self, Followed, Resume},
};

const ROUTE: &str = "/v1/tasks/{id}/events";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// A task's life as server-sent events
///
/// `snapshot`, then `progress`, `log`, `state` and `result` as they happen, and `end`. `degraded`: the store is away and
/// the stream waits; `reset`: what was seen last is not kept any more, a snapshot follows.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/events", tag = "tasks", operation_id = "follow_task",
    params(("id" = String, Path, description = "The task's id"), Resume),
    responses(Followed)
)]
async fn events(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    Resume(after): Resume,
) -> Result<Response, Problem> {
    let operation = ProgressId::from(id);
    // With the store away there is no answer, and the stream waits for it.
    if state.progress.lookup(&operation, None).await.is_ok_and(|found| found == Lookup::Unknown) {
        let task = require(&state, id).await?;
        state.progress.ensure(&operation, NewOperation::default()).await?;
        let result = task.result.and_then(|text| serde_json::from_slice(&text).ok());
        record(&state, id, task.state, result.or_else(|| task.error.map(|error| json!({"error": error})))).await;
    }
    sse::of_operation(&state, ROUTE, &operation, after).await
}

/// Adds a report of the task's worker.
pub(crate) async fn report(
    state: &ApiState,
    id: TaskId,
    percent: Option<f64>,
    message: Option<String>,
) -> Result<(), Problem> {
    let operation = ProgressId::from(id);
    let update = Update { step: None, percent, message, status: Some(Status::Running) };
    match state.progress.patch(&operation, update.clone()).await {
        // The first report, or the first one after a dead letter was returned to its queue.
        Err(Error::Unknown(_) | Error::Finished { .. }) => {
            state.progress.put(&operation, NewOperation::default()).await?;
            state.progress.patch(&operation, update).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Tells the task's followers what it has come to, if anybody ever looked at it.
///
/// The task's own state was written before and is what counts; so a failure here is logged and not answered.
pub(crate) async fn record(state: &ApiState, id: TaskId, now: TaskState, result: Option<Value>) {
    let operation = ProgressId::from(id);
    let told = match now {
        TaskState::Completed => state.progress.finish(&operation, FinalStatus::Completed, result).await,
        TaskState::Dead => state.progress.finish(&operation, FinalStatus::Failed, result).await,
        TaskState::Cancelled => state.progress.finish(&operation, FinalStatus::Cancelled, result).await,
        TaskState::Failed => {
            let between_attempts = json!({"task_status": now.as_str(), "reason": result});
            state.progress.publish(&operation, EventKind::State, between_attempts).await
        }
        _ => return,
    };
    match told {
        Ok(_) | Err(Error::Unknown(_) | Error::Finished { .. }) => {}
        Err(error) => tracing::warn!(
            task.id = %id,
            error = &error as &dyn std::error::Error,
            "a task's followers did not hear what it has come to"
        ),
    }
}
