//! `/v1/queues`, `/v1/queues/{queue}`, `…/pause`, `…/resume`: queues as a whole.

use axum::{Json, extract::State};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use trackside_core::QueueName;
use trackside_queue::{QueueActivity, QueueStats};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiConfig, ApiState,
    extract::{StrictPath, StrictQuery},
    problem::Problem,
    wire::{self, PageQuery},
};

/// One queue: what waits in it, what runs, and what went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue, example = json!({
    "queue": "agent_tasks", "ready": {"critical": 0, "high": 1, "normal": 41, "low": 0}, "depth": 42, "active": 4,
    "delayed": 0, "waiting": 0, "parked": 0, "dead": 0, "oldest_age_ms": 1250, "paused": false, "scale_hint": "hold",
    "workers": 2, "slots": 8, "created": 120, "completed": 74, "cancelled": 0, "failed": 3, "retried": 2,
    "crashed": 1, "expired": 0, "bytes": 31744, "rates": null
}))]
pub(crate) struct QueueView {
    queue: String,
    ready: ReadyByLevel,
    /// Ready tasks of all levels.
    depth: u64,
    /// Under lease.
    active: u64,
    /// Not due yet, retries included.
    delayed: u64,
    /// Waiting for other tasks.
    waiting: u64,
    /// Held back by the brake.
    parked: u64,
    /// In the dead letters.
    dead: u64,
    /// Age of the oldest ready task; `null` when none is ready.
    oldest_age_ms: Option<u64>,
    /// A paused queue hands out nothing.
    paused: bool,
    scale_hint: ScaleHint,
    /// Workers seen during the last minute, as `/workers` lists them; an estimate when they are more than 256.
    workers: u64,
    /// How many tasks they take at once.
    slots: u64,
    /// Tasks ever accepted.
    created: u64,
    /// Tasks ever completed.
    completed: u64,
    /// Tasks ever called off.
    cancelled: u64,
    /// Attempts that ever failed.
    failed: u64,
    /// How many of them are, or were, tried again.
    retried: u64,
    /// Leases that ever ended without a result: their worker died, or lost its connection.
    crashed: u64,
    /// Tasks that ever came up after their `expires_at`.
    expired: u64,
    /// Memory that the unfinished tasks take; an estimate.
    bytes: u64,
    /// What went on during the last minute; `null` when this process has not watched the queue yet.
    rates: Option<RatesView>,
}

/// What went on in a queue during the last minute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueRates)]
struct RatesView {
    /// The time that was watched: a minute, or less when the service has just started.
    window_ms: u64,
    created_per_s: f64,
    completed_per_s: f64,
    failed_per_s: f64,
    /// The part of the attempts that failed, from 0 to 1.
    failure_rate: f64,
}

/// Ready tasks of each level.
#[derive(Debug, Serialize, ToSchema)]
struct ReadyByLevel {
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

/// Whether the number of workers fits the backlog: `up` above 50 ready tasks, `down` below 10, unless configured otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScaleHint {
    Up,
    Down,
    Hold,
}

/// Queues that one request asks the store for at the same time.
const ASKED_AT_ONCE: usize = 8;

/// A page of queues, by name.
#[derive(Debug, Serialize, ToSchema)]
struct QueuePage {
    queues: Vec<QueueView>,
    /// Ask with it for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get_queue)).routes(routes!(pause)).routes(routes!(resume))
}

/// All queues
#[utoipa::path(
    get, path = "/v1/queues", tag = "queues", operation_id = "list_queues", params(PageQuery),
    responses((status = OK, body = QueuePage))
)]
async fn list(
    State(state): State<ApiState>,
    StrictQuery(page): StrictQuery<PageQuery>,
) -> Result<Json<QueuePage>, Problem> {
    let names = state.queues.queues().await?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let mut rest = names.into_iter().filter(|queue| queue.as_str() > after);
    let shown: Vec<QueueName> = rest.by_ref().take(page.limit()).collect();
    let is_last = rest.next().is_none();
    let next_cursor = shown.last().filter(|_| !is_last).map(ToString::to_string);
    let queues = views(&state, shown).await?;
    Ok(Json(QueuePage { queues, next_cursor }))
}

/// One queue
#[utoipa::path(
    get, path = "/v1/queues/{queue}", tag = "queues", operation_id = "get_queue",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = QueueView))
)]
async fn get_queue(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<QueueView>, Problem> {
    require(&state, &queue).await?;
    Ok(Json(view(&state, &queue).await?))
}

/// Stop handing out tasks of a queue
///
/// What runs goes on, and tasks are still accepted.
#[utoipa::path(
    post, path = "/v1/queues/{queue}/pause", tag = "queues", operation_id = "pause_queue",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = QueueView))
)]
async fn pause(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<QueueView>, Problem> {
    require(&state, &queue).await?;
    state.queues.pause(&queue).await?;
    Ok(Json(view(&state, &queue).await?))
}

/// Hand out tasks of a queue again
#[utoipa::path(
    post, path = "/v1/queues/{queue}/resume", tag = "queues", operation_id = "resume_queue",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    responses((status = OK, body = QueueView))
)]
async fn resume(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
) -> Result<Json<QueueView>, Problem> {
    require(&state, &queue).await?;
    state.queues.resume(&queue).await?;
    Ok(Json(view(&state, &queue).await?))
}

/// Refuses a queue that nobody ever used, so that a misspelling is not answered with an empty queue.
pub(crate) async fn require(state: &ApiState, queue: &QueueName) -> Result<(), Problem> {
    match state.queues.queues().await?.binary_search(queue) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::not_found("queue", queue)),
    }
}

/// The queue as it is now.
pub(crate) async fn view(state: &ApiState, queue: &QueueName) -> Result<QueueView, Problem> {
    Ok(QueueView::of(state, queue, &state.queues.stats(queue).await?))
}

/// Several queues as they are now, in the same order.
pub(crate) async fn views(state: &ApiState, queues: Vec<QueueName>) -> Result<Vec<QueueView>, Problem> {
    let view = |queue: QueueName| async move { view(state, &queue).await };
    stream::iter(queues).map(view).buffered(ASKED_AT_ONCE).try_collect().await
}

// === impl QueueView ===

impl QueueView {
    fn of(state: &ApiState, queue: &QueueName, stats: &QueueStats) -> Self {
        let [critical, high, normal, low] = stats.ready;
        let depth = stats.ready.iter().sum();
        Self {
            queue: queue.to_string(),
            ready: ReadyByLevel { critical, high, normal, low },
            depth,
            active: stats.active,
            delayed: stats.delayed,
            waiting: stats.waiting,
            parked: stats.parked,
            dead: stats.dead,
            oldest_age_ms: stats.oldest_age.map(wire::millis),
            paused: stats.paused,
            scale_hint: ScaleHint::of(depth, &state.config),
            workers: stats.workers,
            slots: stats.slots,
            created: stats.created,
            completed: stats.completed,
            cancelled: stats.cancelled,
            failed: stats.failed,
            retried: stats.retried,
            crashed: stats.crashed,
            expired: stats.expired,
            bytes: stats.bytes,
            rates: state.monitor.activity(queue).map(Into::into),
        }
    }
}

// === impl RatesView ===

impl From<QueueActivity> for RatesView {
    fn from(activity: QueueActivity) -> Self {
        Self {
            window_ms: wire::millis(activity.window),
            created_per_s: activity.created_per_s,
            completed_per_s: activity.completed_per_s,
            failed_per_s: activity.failed_per_s,
            failure_rate: activity.failure_rate,
        }
    }
}

// === impl ScaleHint ===

impl ScaleHint {
    pub(crate) const fn of(depth: u64, config: &ApiConfig) -> Self {
        match depth {
            depth if depth > config.scale_up_above => Self::Up,
            depth if depth < config.scale_down_below => Self::Down,
            _ => Self::Hold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_follows_the_backlog() {
        let hints = [0, 9, 10, 50, 51].map(|depth| ScaleHint::of(depth, &ApiConfig::default()));
        assert_eq!(hints, [ScaleHint::Down, ScaleHint::Down, ScaleHint::Hold, ScaleHint::Hold, ScaleHint::Up]);
    }
}
