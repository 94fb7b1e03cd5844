//! `/v1/tasks/{id}/ack`, `/fail`, `/release`, `/extend`, `/progress`: what the holder of a lease says, each time with its fence.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use trackside_core::{QueueName, TaskId, Timestamp};
use trackside_queue::{Acknowledged, Error, ExtendRequest, Fence, ItemResult, NewTask, Order, Outcome, Settlement};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    next::{self, NextAccepted, NextRequest},
    task_events,
};
use crate::{
    ApiState,
    extract::{StrictJson, StrictPath},
    middleware::correlation::RequestContext,
    problem::Problem,
    wire::TaskState,
};

/// The task is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "fence": 17, "result": {"pages": 12}, "enqueue": [{"kind": "report.mail", "payload": {"to": "office"}}]
}))]
pub(super) struct Ack {
    /// From the lease.
    fence: u64,
    /// Any JSON; kept as it is.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// What follows, at most 64 tasks: enqueued in the same step, or not at all.
    #[serde(default)]
    enqueue: Vec<NextRequest>,
}

/// The attempt failed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fence": 17, "error": "cannot print", "error_chain": ["printer on fire"], "retryable": true}))]
pub(super) struct Fail {
    /// From the lease.
    fence: u64,
    /// Why; the first 2 KiB are kept, causes included.
    error: String,
    /// What caused it, outermost first.
    #[serde(default)]
    error_chain: Vec<String>,
    /// Whether another attempt makes sense; true when left out.
    retryable: Option<bool>,
}

/// The worker gives the task back unfinished.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fence": 17}))]
pub(super) struct Release {
    /// From the lease.
    fence: u64,
}

/// The worker needs more time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fence": 17, "lease_ms": 30000}))]
pub(super) struct Extend {
    /// From the lease.
    fence: u64,
    /// How long the lease lasts from now; the service's setting when left out.
    lease_ms: Option<u64>,
}

/// How far the worker is. A report is a sign of life: it extends the lease as `extend` does.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TaskReport, example = json!({"fence": 17, "percent": 40, "message": "rendering page 5 of 12", "lease_ms": 30000}))]
pub(super) struct Report {
    /// From the lease.
    fence: u64,
    /// From 0 to 100; never falls.
    pub(super) percent: Option<f64>,
    /// What is being done, in one line.
    pub(super) message: Option<String>,
    /// How long the lease lasts from now; the service's setting when left out.
    lease_ms: Option<u64>,
}

/// The settlement was applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "completed", "orders": []}))]
pub(super) struct Settled {
    /// Where the task is now: `completed`, `failed` (it will be tried again), `dead`, `cancelled`, or back in its queue.
    status: TaskState,
    /// None: the worker is done with the task.
    orders: Vec<OrderView>,
    /// What follows, in the order of the request; left out when nothing does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enqueued: Vec<NextAccepted>,
}

/// The lease was extended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"lease_expires_at": "2026-11-20T12:00:30.000Z", "orders": ["pause"]}))]
pub(super) struct Extended {
    #[schema(value_type = String, format = DateTime)]
    lease_expires_at: Timestamp,
    /// What the worker must do.
    orders: Vec<OrderView>,
}

/// What the worker must do: stop, and say so with `fail`. `cancel`: the task is called off. `pause`: the brake is on.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Order)]
enum OrderView {
    Cancel,
    Pause,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(ack))
        .routes(routes!(fail))
        .routes(routes!(release))
        .routes(routes!(extend))
        .routes(routes!(progress))
}

/// The task is done
///
/// May be repeated. A lost lease is answered with 409 `lease-lost`, and the result is not written.
///
/// With `enqueue` the next tasks come into being in the same step: never without the completion, and never twice when it
/// is repeated, whose answer says where they are by then. They may wait for those before them (`"depends_on": ["#0"]`) and
/// for other tasks. What they do not say of user, project and tenant they have from this task, as its correlation id and
/// trace. A full queue refuses none of them.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/ack", tag = "tasks", operation_id = "ack_task",
    params(("id" = String, Path, description = "The task's id")),
    request_body = Ack, responses((status = OK, body = Settled))
)]
async fn ack(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    context: RequestContext,
    StrictJson(mut request): StrictJson<Ack>,
) -> Result<Json<Settled>, Problem> {
    let (fence, result) = (request.fence(), request.result_value());
    let next = next::tasks(&state, id, fence, request.take_next(), &context).await?;
    let settlement = Settlement { id, fence, outcome: request.into_outcome(next) };
    let Some(verdict) = state.queues.acknowledge_many(vec![settlement]).await.pop() else {
        return Err(Problem::not_found("task", id));
    };
    let acknowledged = verdict?;
    task_events::record(&state, id, acknowledged.state, result).await;
    Ok(Json(acknowledged.into()))
}

/// The attempt failed
///
/// The task waits for its next attempt, or is dead after its last one. A task whose worker was ordered to stop is
/// cancelled by this, or given back without counting the attempt when it is the brake that stops it. May be repeated.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/fail", tag = "tasks", operation_id = "fail_task",
    params(("id" = String, Path, description = "The task's id")),
    request_body = Fail, responses((status = OK, body = Settled))
)]
async fn fail(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    StrictJson(request): StrictJson<Fail>,
) -> Result<Json<Settled>, Problem> {
    let reason = request.reason();
    let status = match fail_all(&state, vec![(id, request)]).await.pop() {
        Some(verdict) => verdict?,
        None => return Err(Problem::not_found("task", id)),
    };
    task_events::record(&state, id, status, Some(reason)).await;
    Ok(Json(Settled::as_now(status)))
}

/// The worker gives the task back unfinished
///
/// For a worker that is told to end: the task is next in its level again, and the attempt is not counted. A task that was
/// called off meanwhile ends as cancelled. May be repeated.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/release", tag = "tasks", operation_id = "release_task",
    params(("id" = String, Path, description = "The task's id")),
    request_body = Release, responses((status = OK, body = Settled))
)]
async fn release(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    StrictJson(request): StrictJson<Release>,
) -> Result<Json<Settled>, Problem> {
    let status = state.queues.settle(id, request.fence(), Outcome::Released).await?;
    task_events::record(&state, id, status, None).await;
    Ok(Json(Settled::as_now(status)))
}

/// The worker needs more time
///
/// The answer carries the orders for the worker: a cancellation or the brake reach it here.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/extend", tag = "tasks", operation_id = "extend_lease",
    params(("id" = String, Path, description = "The task's id")),
    request_body = Extend, responses((status = OK, body = Extended))
)]
async fn extend(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    StrictJson(request): StrictJson<Extend>,
) -> Result<Json<Extended>, Problem> {
    let ExtendRequest { id, fence, lease } = request.request(id);
    Ok(Json(state.queues.extend(id, fence, lease).await?.into()))
}

/// How far the worker is
///
/// Followers see it at `/v1/tasks/{id}/events`. The lease is extended, and the answer carries orders as for `extend`.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/progress", tag = "tasks", operation_id = "report_task_progress",
    params(("id" = String, Path, description = "The task's id")),
    request_body = Report, responses((status = OK, body = Extended))
)]
async fn progress(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<TaskId>,
    StrictJson(request): StrictJson<Report>,
) -> Result<Json<Extended>, Problem> {
    let ExtendRequest { id, fence, lease } = request.request(id);
    // First the lease: what a worker reports that has lost its task is not the task's progress.
    let extension = state.queues.extend(id, fence, lease).await?;
    task_events::report(&state, id, request.percent, request.message).await?;
    Ok(Json(extension.into()))
}

/// Settles failed attempts, each by what its worker was ordered to do meanwhile.
pub(super) async fn fail_all(
    state: &ApiState,
    failed: Vec<(TaskId, Fail)>,
) -> Vec<ItemResult<trackside_queue::TaskState>> {
    let request = |(id, fail): &(TaskId, Fail)| ExtendRequest { id: *id, fence: Fence(fail.fence), lease: None };
    let extended = state.queues.extend_many(failed.iter().map(request).collect()).await;
    let (mut verdicts, mut settlements, mut places) = (Vec::with_capacity(failed.len()), Vec::new(), Vec::new());
    for (at, ((id, fail), extension)) in failed.into_iter().zip(extended).enumerate() {
        let orders = match extension {
            Ok(extension) => extension.orders,
            // A lost lease may be a repetition of a settlement that was applied; the queue can tell.
            Err(error) if matches!(*error, Error::LeaseLost(_)) => Vec::new(),
            Err(error) => {
                verdicts.push(Err(error));
                continue;
            }
        };
        places.push(at);
        verdicts.push(Err(Arc::new(Error::LeaseLost(id))));
        settlements.push(Settlement { id, fence: Fence(fail.fence), outcome: fail.into_outcome(&orders) });
    }
    for (at, verdict) in places.into_iter().zip(state.queues.settle_many(settlements).await) {
        verdicts[at] = verdict;
    }
    verdicts
}

// === impl Ack, Fail, Release, Extend, Report ===

impl Ack {
    pub(super) const fn fence(&self) -> Fence {
        Fence(self.fence)
    }

    /// The result for the task's followers.
    pub(super) fn result_value(&self) -> Option<Value> {
        self.result.as_ref().and_then(|text| serde_json::from_str(text.get()).ok())
    }

    /// What is to follow.
    pub(super) fn take_next(&mut self) -> Vec<NextRequest> {
        std::mem::take(&mut self.enqueue)
    }

    pub(super) fn into_outcome(self, next: Vec<(QueueName, NewTask)>) -> Outcome {
        Outcome::Completed { result: self.result.map(|raw| Bytes::from(String::from(Box::<str>::from(raw)))), next }
    }
}

impl Fail {
    /// The reason for the task's followers.
    pub(super) fn reason(&self) -> Value {
        json!({"error": self.error})
    }

    /// What the failure of a worker means that has these orders.
    fn into_outcome(self, orders: &[Order]) -> Outcome {
        let retryable = self.retryable.unwrap_or(true);
        if orders.contains(&Order::Cancel) {
            Outcome::Cancelled { reason: self.error }
        } else if orders.contains(&Order::Pause) && retryable {
            // Stopped by the brake: the attempt is not counted, and the task waits until the brake is released.
            Outcome::Released
        } else {
            Outcome::failed(&self.error, &self.error_chain, retryable)
        }
    }
}

impl Release {
    pub(super) const fn fence(&self) -> Fence {
        Fence(self.fence)
    }
}

impl Extend {
    pub(super) fn request(&self, id: TaskId) -> ExtendRequest {
        ExtendRequest { id, fence: Fence(self.fence), lease: self.lease_ms.map(Duration::from_millis) }
    }
}

impl Report {
    pub(super) fn request(&self, id: TaskId) -> ExtendRequest {
        ExtendRequest { id, fence: Fence(self.fence), lease: self.lease_ms.map(Duration::from_millis) }
    }
}

// === impl Settled, Extended, OrderView ===

impl Settled {
    pub(super) fn as_now(status: trackside_queue::TaskState) -> Self {
        Self { status: status.into(), orders: Vec::new(), enqueued: Vec::new() }
    }
}

impl From<Acknowledged> for Settled {
    fn from(acknowledged: Acknowledged) -> Self {
        let enqueued = acknowledged.enqueued.into_iter().map(Into::into).collect();
        Self { enqueued, ..Self::as_now(acknowledged.state) }
    }
}

impl From<trackside_queue::Extension> for Extended {
    fn from(extension: trackside_queue::Extension) -> Self {
        Self {
            lease_expires_at: extension.lease_expires_at,
            orders: extension.orders.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        match order {
            Order::Cancel => Self::Cancel,
            Order::Pause => Self::Pause,
        }
    }
}
