//! `/v1/queues/{queue}/policy`: what a queue takes in and hands out.

use std::{num::NonZeroU32, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trackside_core::QueueName;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queues::require;
use crate::{
    ApiState,
    extract::{StrictJson, StrictPath},
    problem::Problem,
    wire,
};

/// The limits of a queue, which all processes share; what is left out, or `null`, limits nothing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "max_depth": 100_000, "max_active": 8, "rate": {"count": 600, "per_ms": 60_000, "burst": 10}, "tenant_max_active": 2
}))]
pub(crate) struct QueuePolicy {
    /// Unfinished tasks, dead letters not counted, above which new ones are refused with 429 `queue-full`.
    max_depth: Option<u64>,
    /// Bytes of unfinished tasks above which new ones are refused.
    max_bytes: Option<u64>,
    /// Tasks under lease at once, in all processes together.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_active: Option<NonZeroU32>,
    /// How often tasks are handed out.
    rate: Option<QueueRate>,
    /// Tasks of one tenant under lease at once; tasks without a tenant are not limited by it.
    #[schema(value_type = Option<u32>, minimum = 1)]
    tenant_max_active: Option<NonZeroU32>,
    /// How often tasks of one tenant are handed out; tasks without a tenant are not limited by it.
    tenant_rate: Option<QueueRate>,
    /// Tenants take turns inside each level, with this many tasks in a turn; tasks without a tenant take turns together, as
    /// one. A limit by tenant implies it, with one task in a turn.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000)]
    fair: Option<NonZeroU32>,
    /// A task that has been ready for longer than this goes before younger ones of higher levels.
    #[schema(minimum = 1)]
    age_after_ms: Option<u64>,
}

/// So many tasks in so long. One becomes free every `per_ms / count`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QueueRate {
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000)]
    count: NonZeroU32,
    #[schema(minimum = 1)]
    per_ms: u64,
    /// How many may go at once after a quiet time; `count` when left out, and 1 for an even flow.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    burst: Option<NonZeroU32>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_policy, put_policy))
}

/// The limits of a queue
#[utoipa::path(
    get, path = "/v1/queues/{queue}/policy", tag = "queues", operation_id = "get_queue_policy",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = QueuePolicy))
)]
async fn get_policy(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<QueuePolicy>, Problem> {
    require(&state, &queue).await?;
    Ok(Json(state.queues.policy(&queue).await?.into()))
}

/// Set the limits of a queue
///
/// All of them: what the request leaves out limits nothing from now on, and `{}` lifts every limit. They act at once and
/// in every process, and on a queue that has no task yet. No task is lost by a change, and what runs goes on: with fewer
/// places than running tasks, nothing is handed out until enough of them have ended.
#[utoipa::path(
    put, path = "/v1/queues/{queue}/policy", tag = "queues", operation_id = "put_queue_policy",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    request_body = QueuePolicy,
    responses((status = OK, body = QueuePolicy))
)]
async fn put_policy(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictJson(request): StrictJson<QueuePolicy>,
) -> Result<Json<QueuePolicy>, Problem> {
    let policy = trackside_queue::QueuePolicy::from(request);
    // Before the queue is met, so that a refused request leaves nothing behind.
    policy.check()?;
    state.queues.meet(&queue).await?;
    state.queues.set_policy(&queue, &policy).await?;
    Ok(Json(policy.into()))
}

// === impl QueuePolicy, QueueRate ===

impl From<QueuePolicy> for trackside_queue::QueuePolicy {
    fn from(policy: QueuePolicy) -> Self {
        Self {
            max_depth: policy.max_depth,
            max_bytes: policy.max_bytes,
            max_active: policy.max_active,
            rate: policy.rate.map(Into::into),
            tenant_max_active: policy.tenant_max_active,
            tenant_rate: policy.tenant_rate.map(Into::into),
            fair: policy.fair,
            age_after: policy.age_after_ms.map(Duration::from_millis),
        }
    }
}

impl From<trackside_queue::QueuePolicy> for QueuePolicy {
    fn from(policy: trackside_queue::QueuePolicy) -> Self {
        Self {
            max_depth: policy.max_depth,
            max_bytes: policy.max_bytes,
            max_active: policy.max_active,
            rate: policy.rate.map(Into::into),
            tenant_max_active: policy.tenant_max_active,
            tenant_rate: policy.tenant_rate.map(Into::into),
            fair: policy.fair,
            age_after_ms: policy.age_after.map(wire::millis),
        }
    }
}

impl From<QueueRate> for trackside_queue::Rate {
    fn from(rate: QueueRate) -> Self {
        Self { count: rate.count, per: Duration::from_millis(rate.per_ms), burst: rate.burst }
    }
}

impl From<trackside_queue::Rate> for QueueRate {
    fn from(rate: trackside_queue::Rate) -> Self {
        Self { count: rate.count, per_ms: wire::millis(rate.per), burst: rate.burst }
    }
}
