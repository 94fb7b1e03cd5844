//! `/api/jobs/{id}/events`, `/api/jobs/events`, `/api/jobs/ws`: jobs as they happen.

use std::sync::Arc;

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use serde::Deserialize;
use serde_json::json;
use trackside_core::TaskId;
use trackside_jobs::{JobFilter, JobRecord, JobState, JobUpdateEvent};
use trackside_progress::{FinalStatus, Lookup, NewOperation, ProgressId};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::jobs::{JobView, require};
use crate::{
    ApiState,
    access::{self, Caller, Owner},
    extract::{StrictPath, StrictQuery},
    problem::Problem,
    socket,
    sse::{self, Followed, Message, Resume},
};

const ONE_ROUTE: &str = "/api/jobs/{id}/events";
const ALL_ROUTE: &str = "/api/jobs/events";
const SOCKET_ROUTE: &str = "/api/jobs/ws";

/// Jobs in the snapshot that a stream of all jobs begins with.
const SNAPSHOT_JOBS: u32 = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SocketQuery {
    /// Follow this job; all jobs when left out.
    #[param(value_type = Option<String>)]
    job_id: Option<TaskId>,
    /// The id of the last event that was seen of the job.
    last_event_id: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(one)).routes(routes!(all)).routes(routes!(web_socket))
}

/// A job as server-sent events
///
/// `snapshot`, then `progress`, `log`, `state` and `result` as they happen, and `end`. `degraded`: the store is away and
/// the stream waits; `reset`: what was seen last is not kept any more, a snapshot follows.
#[utoipa::path(
    get, path = "/api/jobs/{id}/events", tag = "tools and jobs", operation_id = "follow_job",
    params(("id" = String, Path, description = "The job's id"), Resume),
    responses(Followed)
)]
async fn one(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    Resume(after): Resume,
) -> Result<Response, Problem> {
    let operation = operation_of(&state, id).await?;
    sse::of_operation(&state, ONE_ROUTE, &operation, after).await
}

/// All jobs as server-sent events
///
/// `snapshot` with the newest jobs, then a `state` for each job that is created, started, completed or failed. `reset`:
/// something may have been missed, a snapshot follows. These events carry no ids: a new connection begins with a
/// snapshot.
#[utoipa::path(
    get, path = "/api/jobs/events", tag = "tools and jobs", operation_id = "follow_jobs",
    responses((status = OK, body = String, content_type = "text/event-stream"))
)]
async fn all(State(state): State<ApiState>) -> Response {
    sse::stream(&state, ALL_ROUTE, updates(state.clone()))
}

/// One job or all of them by WebSocket
///
/// The events of `/api/jobs/{id}/events` (with `job_id`) or `/api/jobs/events`, each as a text message
/// `{"event", "id"?, "data"}`. The socket is closed with 1000 after `end` and with 1001 when the service shuts down.
#[utoipa::path(
    get, path = "/api/jobs/ws", tag = "tools and jobs", operation_id = "watch_jobs", params(SocketQuery),
    responses((status = SWITCHING_PROTOCOLS, description = "A WebSocket"))
)]
async fn web_socket(
    State(state): State<ApiState>,
    caller: Caller,
    StrictQuery(query): StrictQuery<SocketQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let messages: BoxStream<'static, Message> = match query.job_id {
        None => {
            caller.require(&Owner::default())?;
            updates(state.clone()).boxed()
        }
        Some(id) => {
            access::require_job(&state, &caller, id).await?;
            let Resume(after) = Resume::after(query.last_event_id.as_deref())?;
            let operation = operation_of(&state, id).await?;
            state.progress.events(&operation, after).map(Message::from).boxed()
        }
    };
    let upgrade = upgrade.map_err(socket::not_an_upgrade)?;
    Ok(socket::stream(&state, &caller, SOCKET_ROUTE, upgrade, messages))
}

/// The operation of a job, brought back when it was forgotten before the job was.
async fn operation_of(state: &ApiState, id: TaskId) -> Result<ProgressId, Problem> {
    let operation = ProgressId::from(id);
    if state.progress.lookup(&operation, None).await.is_ok_and(|found| found == Lookup::Unknown) {
        let job = require(state, id).await?;
        state.progress.ensure(&operation, NewOperation::default()).await?;
        if let Some(ended) = end_of(job.state) {
            let result = job.error.map(|error| json!({"error": error}));
            state.progress.finish(&operation, ended, result).await?;
        }
    }
    Ok(operation)
}

const fn end_of(state: JobState) -> Option<FinalStatus> {
    match state {
        JobState::Completed => Some(FinalStatus::Completed),
        JobState::Failed => Some(FinalStatus::Failed),
        JobState::Cancelled => Some(FinalStatus::Cancelled),
        JobState::Queued | JobState::Running | JobState::Parked => None,
    }
}

/// The newest jobs, then every update. The subscription comes first, so that nothing falls between the two.
fn updates(state: ApiState) -> impl Stream<Item = Message> + Send + 'static {
    async_stream::stream! {
        let mut updates = state.jobs.updates();
        yield snapshot(&state).await;
        while let Some(update) = updates.next().await {
            match update {
                JobUpdateEvent::Update(update) => match serde_json::to_string(&*update) {
                    Ok(data) => yield message("state", data),
                    Err(error) => tracing::warn!(job.id = %update.job_id, %error, "a job update cannot be written"),
                },
                JobUpdateEvent::Gap => {
                    yield message("reset", json!({"reason": "updates may be missing"}).to_string());
                    yield snapshot(&state).await;
                }
            }
        }
    }
}

/// The newest jobs, or `degraded` when the history is away: what happens from now on is told all the same.
async fn snapshot(state: &ApiState) -> Message {
    match state.jobs.list(&JobFilter::default(), None, SNAPSHOT_JOBS).await {
        Ok(page) => {
            let jobs: Vec<JobView> = page.jobs.into_iter().map(|job: JobRecord| job.into()).collect();
            message("snapshot", json!({"jobs": jobs}).to_string())
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a stream of jobs begins without a snapshot");
            message("degraded", json!({"reason": error.kind()}).to_string())
        }
    }
}

fn message(name: &'static str, data: String) -> Message {
    Message { id: None, name, data: Arc::from(data) }
}
