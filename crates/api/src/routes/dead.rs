//! `/v1/queues/{queue}/dead`: tasks that will not be tried again unless somebody asks for it.

mod selection;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{QueueName, TaskId, Timestamp, UserId};
use trackside_queue::{DeadCursor, DeadFilter, DeadLetter, Swept};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::selection::{Meant, Selection};
use super::{queues::require, tasks::TaskView};
use crate::{
    ApiState,
    extract::{OptionalJson, StrictPath, StrictQuery},
    problem::Problem,
    wire,
};

/// Which dead letters to show: those for which everything that is said holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadQuery {
    /// Most items of the page: 1 to 256, 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Of this kind.
    kind: Option<String>,
    /// Of this user.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// Of this tenant.
    tenant_id: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// With this text in the reason; small and capital letters are the same.
    reason: Option<String>,
    /// That died after this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    died_after: Option<Timestamp>,
    /// That died before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    died_before: Option<Timestamp>,
}

/// A page of dead letters, newest first. With a filter it may hold fewer than asked for, or none, and still say where
/// to go on.
#[derive(Debug, Serialize, ToSchema)]
struct DeadPage {
    tasks: Vec<DeadTask>,
    /// Ask with it for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// A dead letter: the task with its reason in `error`, its payload, and how often a worker died while holding it.
#[derive(Debug, Serialize, ToSchema)]
struct DeadTask {
    #[serde(flatten)]
    task: TaskView,
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
    crashes: u32,
}

/// How many dead letters were returned to the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"requeued": 3, "remaining": 0, "next_cursor": null}))]
struct Requeued {
    requeued: usize,
    /// Dead letters that the queue has now.
    remaining: u64,
    /// Send it as `cursor` to go on; `null` when no more are meant.
    next_cursor: Option<String>,
}

/// How many dead letters were removed for good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"purged": 3, "remaining": 0, "next_cursor": null}))]
struct Purged {
    purged: usize,
    /// Dead letters that the queue has now.
    remaining: u64,
    /// Send it as `cursor` to go on; `null` when no more are meant.
    next_cursor: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, purge)).routes(routes!(requeue))
}

/// Dead letters, newest first
#[utoipa::path(
    get, path = "/v1/queues/{queue}/dead", tag = "queues", operation_id = "list_dead",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks"), DeadQuery),
    responses((status = OK, body = DeadPage))
)]
async fn list(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictQuery(query): StrictQuery<DeadQuery>,
) -> Result<Json<DeadPage>, Problem> {
    require(&state, &queue).await?;
    let (cursor, limit) = (read_cursor(query.cursor.as_deref())?, wire::page_limit(query.limit));
    let filter = DeadFilter {
        kind: query.kind,
        user_id: query.user_id,
        tenant_id: query.tenant_id,
        tag: query.tag,
        reason: query.reason,
        died_after: query.died_after,
        died_before: query.died_before,
    };
    let page = state.queues.find_dead(&queue, &filter, cursor, limit).await?;
    Ok(Json(DeadPage {
        tasks: page.letters.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(write_cursor),
    }))
}

/// Return dead letters to the queue
///
/// Their attempts are counted anew. Without a body, every one. One call handles `limit` letters at most and says where
/// to go on; those that die meanwhile are not met again.
#[utoipa::path(
    post, path = "/v1/queues/{queue}/dead/requeue", tag = "queues", operation_id = "requeue_dead",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    request_body = Option<Selection>, responses((status = OK, body = Requeued))
)]
async fn requeue(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    OptionalJson(selection): OptionalJson<Selection>,
) -> Result<Json<Requeued>, Problem> {
    require(&state, &queue).await?;
    let swept = match selection.meant()? {
        Meant::Ids(ids) => Swept { done: state.queues.requeue_dead(&queue, &ids).await?, next: None },
        Meant::Filter { filter, cursor, limit } => {
            state.queues.requeue_matching(&queue, &filter, cursor, limit).await?
        }
    };
    let remaining = state.queues.stats(&queue).await?.dead;
    Ok(Json(Requeued { requeued: swept.done, remaining, next_cursor: swept.next.map(write_cursor) }))
}

/// Remove dead letters for good
///
/// Without a body, every one. One call handles `limit` letters at most and says where to go on.
#[utoipa::path(
    delete, path = "/v1/queues/{queue}/dead", tag = "queues", operation_id = "purge_dead",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks")),
    request_body = Option<Selection>, responses((status = OK, body = Purged))
)]
async fn purge(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    OptionalJson(selection): OptionalJson<Selection>,
) -> Result<Json<Purged>, Problem> {
    require(&state, &queue).await?;
    let swept = match selection.meant()? {
        Meant::Ids(ids) => Swept { done: state.queues.purge_dead(&queue, &ids).await?, next: None },
        Meant::Filter { filter, cursor, limit } => state.queues.purge_matching(&queue, &filter, cursor, limit).await?,
    };
    let remaining = state.queues.stats(&queue).await?.dead;
    Ok(Json(Purged { purged: swept.done, remaining, next_cursor: swept.next.map(write_cursor) }))
}

/// `<milliseconds>.<id>`: opaque to clients.
fn write_cursor(cursor: DeadCursor) -> String {
    format!("{}.{}", cursor.died_at.as_millis(), cursor.id)
}

fn read_cursor(text: Option<&str>) -> Result<Option<DeadCursor>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.split_once('.').and_then(|(millis, id)| {
        Some(DeadCursor { died_at: Timestamp::from_millis(millis.parse().ok()?), id: id.parse::<TaskId>().ok()? })
    });
    parsed.map(Some).ok_or_else(|| Problem::invalid_field("cursor", "not one that this list handed out"))
}

// === impl DeadTask ===

impl From<DeadLetter> for DeadTask {
    fn from(letter: DeadLetter) -> Self {
        Self { payload: wire::json_text(&letter.payload), crashes: letter.crashes, task: letter.status.into() }
    }
}
