//! `/v1/queues/{queue}/tasks`: enqueue, and look at what is next.

use std::{num::NonZeroU32, slice, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{QueueName, TaskId, Timestamp, UserId};
use trackside_queue::{
    DEFAULT_MAX_ATTEMPTS, Dependency, Due, Durability, Enqueued, NewTask, PeekedTask, RetryPolicy, TaskOptions,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::require;
use crate::{
    ApiState,
    access::{self, Caller},
    drain,
    extract::{IdempotencyKey, OneOrMany, StrictJson, StrictPath, StrictQuery, replayed},
    middleware::correlation::RequestContext,
    problem::Problem,
    wire::{self, Backoff, OnFailure, Priority, TaskState, Unique},
};

/// Tasks shown when the request does not say.
const DEFAULT_PEEK: usize = 10;

/// A task to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTask, example = json!({
    "kind": "report.render", "payload": {"month": "2026-10"}, "priority": "high", "user_id": "user-42", "max_attempts": 5
}))]
pub(super) struct EnqueueRequest {
    /// What a worker chooses the handler by: 1 to 128 printable ASCII characters.
    kind: String,
    /// Any JSON; kept as it is.
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
    /// `normal` when left out.
    priority: Option<Priority>,
    /// Not before so many milliseconds from now.
    delay_ms: Option<u64>,
    /// Not before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    run_at: Option<Timestamp>,
    /// Not at or after this time: a task that has not been handed out by then is cancelled.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How long one attempt may run; the worker's setting when left out.
    timeout_ms: Option<u64>,
    /// How long a lease on it lasts, at least 100; the worker's setting when left out.
    #[schema(minimum = 100)]
    lease_ms: Option<u64>,
    /// Failed attempts after which it goes to the dead letters; 3 when left out.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_attempts: Option<NonZeroU32>,
    /// The wait between attempts; exponential from 1 s to 60 s with jitter when left out.
    backoff: Option<Backoff>,
    /// On whose behalf it runs: the brake acts on this.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    /// Words to find it by, at most 16.
    #[serde(default)]
    tags: Vec<String>,
    /// A key that one task of the queue holds at a time: while another one holds it, that one is answered.
    unique: Option<Unique>,
    /// How long its status and result are kept after its end, instead of the configured time; 0 keeps nothing.
    retention_ms: Option<u64>,
    /// How safe it is before it is acknowledged: `none` (as safe as the store keeps it by itself), `replicated` (a replica
    /// has it too) or `fsynced` (it is on the store's disk); the service's setting when left out. All tasks of an array
    /// that say it must say the same.
    #[schema(value_type = Option<String>, example = "replicated")]
    durability: Option<Durability>,
    /// What the client calls this task, instead of what follows from the header `Idempotency-Key`.
    idempotency_key: Option<String>,
    /// Tasks that must complete first, at most 256: their ids, or `#0` for the first task of the same array, and so on.
    #[serde(default)]
    depends_on: Vec<String>,
    /// What becomes of it when one of those fails; `fail` when left out.
    on_failure: Option<OnFailure>,
}

/// A task that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskAccepted, example = json!({"task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "status": "queued"}))]
pub(super) struct Accepted {
    /// The new task; or the one that was there before it.
    task_id: String,
    status: TaskState,
    /// `true` when the task was there before and nothing was added; else left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

/// Tasks that were accepted, in the order in which they were sent.
#[derive(Debug, Serialize, ToSchema)]
struct ManyAccepted {
    tasks: Vec<Accepted>,
}

/// What was accepted: one task for an object, several for an array.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TasksAccepted)]
enum Answer {
    One(Accepted),
    Many(ManyAccepted),
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PeekQuery {
    /// Most tasks shown: 1 to 256, 10 when left out.
    limit: Option<usize>,
}

/// The next tasks in the order in which they would be handed out.
#[derive(Debug, Serialize, ToSchema)]
struct Upcoming {
    tasks: Vec<UpcomingTask>,
}

/// A ready task, seen without being taken.
#[derive(Debug, Serialize, ToSchema)]
struct UpcomingTask {
    /// `null` for an element that a plain Redis client pushed and no worker has met yet.
    task_id: Option<String>,
    kind: Option<String>,
    priority: Priority,
    #[schema(value_type = Option<String>, format = DateTime)]
    enqueued_at: Option<Timestamp>,
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(enqueue, peek))
}

/// Enqueue one task, or an array of them
///
/// The queue comes into being with its first task. Of an array, either all tasks are acceptable or none is accepted.
/// An array of any length is added in groups of 128 (fewer when they are long), each atomic. When the store fails, or the queue fills up, between two
/// groups, the problem names in `tasks` what was accepted: send the others again, or all of them under the same
/// `Idempotency-Key`. A queue that has a limit has room for the whole array, or refuses it with 429 `queue-full`.
///
/// A task that depends on others is `waiting` until all of them have completed; one that names a task of which nothing is
/// known is refused. An array may describe a whole flow, as its tasks may name those before them.
///
/// A request may be repeated under its `Idempotency-Key`: within a day (`idempotency_ttl`) the same key with the same body
/// adds nothing and answers the first tasks, with the header `Idempotency-Replayed: true` when nothing was new. The key
/// with another body is refused. In an array the key of each task is `<key>/<index>`, unless the task has an
/// `idempotency_key` of its own. Keys are remembered for each queue.
#[utoipa::path(
    post, path = "/v1/queues/{queue}/tasks", tag = "queues", operation_id = "enqueue_tasks",
    params(
        ("queue" = String, Path, description = "The queue's name", example = "agent_tasks"),
        ("Idempotency-Key" = Option<String>, Header, description = "What the client calls the request, 1 to 255 characters, quoted or bare"),
    ),
    request_body(content = OneOrMany<EnqueueRequest>, description = "A task, or an array of tasks"),
    responses(
        (status = ACCEPTED, description = "Accepted; for an array `{\"tasks\": [...]}` in the same order", body = Answer,
         headers(
             ("Location" = String, description = "The task's status, for a single task"),
             ("Idempotency-Replayed" = Option<String>, description = "`true` when nothing was new")
         ))
    )
)]
async fn enqueue(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    context: RequestContext,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    StrictJson(request): StrictJson<OneOrMany<EnqueueRequest>>,
) -> Result<Response, Problem> {
    match request {
        OneOrMany::One(request) => {
            let durability = request.durability.unwrap_or_else(|| state.queues.config().durability);
            let task = request.into_task(&queue, &context, key, &[])?;
            access::require_new(&state, &caller, slice::from_ref(&task)).await?;
            let added = state.queues.enqueue_one_durably(&queue, task, durability).await;
            let added = added.map_err(|error| drain::refused(&state, &queue, 1, error))?;
            let location = [(header::LOCATION, format!("/v1/tasks/{}", added.id))];
            let replayed = replayed(added.replayed);
            Ok((StatusCode::ACCEPTED, location, replayed, Json(Answer::One(added.into()))).into_response())
        }
        OneOrMany::Many(requests) => {
            let durability = common_durability(&requests)?.unwrap_or_else(|| state.queues.config().durability);
            let (mut tasks, mut ids) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
            for (index, request) in requests.into_iter().enumerate() {
                let key = key.as_ref().map(|key| format!("{key}/{index}"));
                let task = request.into_task(&queue, &context, key, &ids).map_err(|problem| problem.of_item(index))?;
                ids.push(task.id);
                tasks.push(task);
            }
            access::require_new(&state, &caller, &tasks).await?;
            let count = tasks.len();
            let added = state.queues.enqueue_durably(&queue, tasks, durability).await;
            let added = added.map_err(|error| drain::refused(&state, &queue, count, error))?;
            let replayed = replayed(!added.is_empty() && added.iter().all(|task| task.replayed));
            let tasks = added.into_iter().map(Into::into).collect();
            Ok((StatusCode::ACCEPTED, replayed, Json(Answer::Many(ManyAccepted { tasks }))).into_response())
        }
    }
}

/// The next tasks, without taking them
#[utoipa::path(
    get, path = "/v1/queues/{queue}/tasks", tag = "queues", operation_id = "peek_tasks",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks"), PeekQuery),
    responses((status = OK, body = Upcoming))
)]
async fn peek(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictQuery(query): StrictQuery<PeekQuery>,
) -> Result<Json<Upcoming>, Problem> {
    require(&state, &queue).await?;
    let tasks = state.queues.peek(&queue, query.limit.unwrap_or(DEFAULT_PEEK).max(1)).await?;
    Ok(Json(Upcoming { tasks: tasks.into_iter().map(Into::into).collect() }))
}

/// What those tasks of an array say that say it.
fn common_durability(requests: &[EnqueueRequest]) -> Result<Option<Durability>, Problem> {
    let mut said = requests.iter().enumerate().filter_map(|(index, task)| task.durability.map(|it| (index, it)));
    let Some((_, first)) = said.next() else { return Ok(None) };
    match said.find(|(_, other)| *other != first) {
        Some((index, _)) => {
            Err(Problem::invalid_field("durability", "must be the same in the whole array").of_item(index))
        }
        None => Ok(Some(first)),
    }
}

// === impl EnqueueRequest ===

impl EnqueueRequest {
    /// The task, known by `key` unless it says otherwise; `earlier` are the tasks before it.
    pub(super) fn into_task(
        self,
        queue: &QueueName,
        context: &RequestContext,
        key: Option<String>,
        earlier: &[TaskId],
    ) -> Result<NewTask, Problem> {
        let due = match (self.delay_ms, self.run_at) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid_field("run_at", "give either delay_ms or run_at"));
            }
            (Some(delay_ms), None) => Due::After(Duration::from_millis(delay_ms)),
            (None, Some(at)) => Due::At(at),
            (None, None) => Due::Now,
        };
        let options = TaskOptions {
            priority: self.priority.map(Into::into).unwrap_or_default(),
            due,
            timeout: self.timeout_ms.map(Duration::from_millis),
            max_attempts: self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
            retry: self.backoff.map_or_else(RetryPolicy::default, Into::into),
            lease: self.lease_ms.map(Duration::from_millis),
            depends_on: dependencies(self.depends_on, earlier)?,
            on_failure: self.on_failure.map(Into::into).unwrap_or_default(),
            expires_at: self.expires_at,
            unique: self.unique.map(Into::into),
            retention: self.retention_ms.map(Duration::from_millis),
            user_id: self.user_id,
            project_id: self.project_id,
            tenant_id: self.tenant_id,
            tags: self.tags,
            idempotency_key: self.idempotency_key.or(key),
            correlation_id: Some(context.correlation_id.clone()),
            traceparent: context.traceparent.clone(),
        };
        let payload = Bytes::from(String::from(Box::<str>::from(self.payload)));
        Ok(NewTask { id: TaskId::generate(queue), kind: self.kind, payload, options })
    }
}

/// The tasks that are named, by id or by their place among the earlier ones.
fn dependencies(names: Vec<String>, earlier: &[TaskId]) -> Result<Vec<Dependency>, Problem> {
    let read = |(index, name): (usize, String)| {
        let id = match name.strip_prefix('#') {
            Some(position) => position.parse().ok().and_then(|position: usize| earlier.get(position)).copied(),
            None => name.parse().ok(),
        };
        let rule = "a task id, or '#' and the place of an earlier task of the same array, from 0";
        id.map(Dependency::from).ok_or_else(|| Problem::invalid_field(format!("depends_on[{index}]"), rule))
    };
    names.into_iter().enumerate().map(read).collect()
}

// === impl Accepted, UpcomingTask ===

impl From<Enqueued> for Accepted {
    fn from(added: Enqueued) -> Self {
        Self { task_id: added.id.to_string(), status: added.state.into(), replayed: added.replayed }
    }
}

impl From<PeekedTask> for UpcomingTask {
    fn from(task: PeekedTask) -> Self {
        Self {
            task_id: task.id.map(|id| id.to_string()),
            kind: task.kind,
            priority: task.priority.into(),
            enqueued_at: task.enqueued_at,
            payload: wire::json_text(&task.payload),
        }
    }
}
