//! `/v1/queues/{queue}/dead`: tasks that will not be tried again unless somebody asks for it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{QueueName, TaskId, Timestamp};
use trackside_queue::{DeadCursor, DeadLetter};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{queues::require, tasks::TaskView};
use crate::{
    ApiState,
    extract::{OptionalJson, StrictPath, StrictQuery},
    problem::Problem,
    wire::{self, PageQuery},
};

/// Dead letters handled at a time when all of them are meant.
const SWEEP: usize = 256;

/// A page of dead letters, newest first.
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

/// Which dead letters are meant: these, or all of them when left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"task_ids": ["0198c2d4-7c1e-7448-8000-0d7f5a2f4c11"]}))]
struct Selection {
    #[schema(value_type = Option<Vec<String>>)]
    task_ids: Option<Vec<TaskId>>,
}

/// How many dead letters were returned to the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"requeued": 3}))]
struct Requeued {
    requeued: usize,
}

/// How many dead letters were removed for good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"purged": 3}))]
struct Purged {
    purged: usize,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, purge)).routes(routes!(requeue))
}

/// Dead letters, newest first
#[utoipa::path(
    get, path = "/v1/queues/{queue}/dead", tag = "queues", operation_id = "list_dead",
    params(("queue" = String, Path, description = "The queue's name", example = "agent_tasks"), PageQuery),
    responses((status = OK, body = DeadPage))
)]
async fn list(
    State(state): State<ApiState>,
    StrictPath(queue): StrictPath<QueueName>,
    StrictQuery(page): StrictQuery<PageQuery>,
) -> Result<Json<DeadPage>, Problem> {
    require(&state, &queue).await?;
    let cursor = page.cursor.as_deref().map(read_cursor).transpose()?;
    let letters = state.queues.dead_letters(&queue, cursor, page.limit()).await?;
    let next_cursor = (letters.len() == page.limit()).then(|| letters.last().map(write_cursor)).flatten();
    Ok(Json(DeadPage { tasks: letters.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Return dead letters to the queue
///
/// Their attempts are counted anew. Without a body, every one.
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
    let mut requeued = 0;
    for ids in batches(&state, &queue, selection).await? {
        requeued += state.queues.requeue_dead(&queue, &ids).await?;
    }
    Ok(Json(Requeued { requeued }))
}

/// Remove dead letters for good
///
/// Without a body, every one.
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
    let mut purged = 0;
    for ids in batches(&state, &queue, selection).await? {
        purged += state.queues.purge_dead(&queue, &ids).await?;
    }
    Ok(Json(Purged { purged }))
}

/// The ids that are meant. "All" is what is dead when the request arrives, so that a task which dies again while the
/// request runs is not swept in a circle.
async fn batches(state: &ApiState, queue: &QueueName, selection: Selection) -> Result<Vec<Vec<TaskId>>, Problem> {
    if let Some(ids) = selection.task_ids {
        return Ok(vec![ids]);
    }
    let mut batches = Vec::new();
    let mut cursor = None;
    loop {
        let letters = state.queues.dead_letters(queue, cursor, SWEEP).await?;
        batches.push(letters.iter().map(|letter| letter.status.id).collect());
        match letters.last() {
            Some(last) if letters.len() == SWEEP => cursor = Some(cursor_of(last)),
            _ => return Ok(batches),
        }
    }
}

fn cursor_of(letter: &DeadLetter) -> DeadCursor {
    let died_at = letter.status.finished_at.unwrap_or(letter.status.enqueued_at);
    DeadCursor { died_at, id: letter.status.id }
}

/// `<milliseconds>.<id>`: opaque to clients.
fn write_cursor(letter: &DeadLetter) -> String {
    let cursor = cursor_of(letter);
    format!("{}.{}", cursor.died_at.as_millis(), cursor.id)
}

fn read_cursor(text: &str) -> Result<DeadCursor, Problem> {
    let parsed = text.split_once('.').and_then(|(millis, id)| {
        Some(DeadCursor { died_at: Timestamp::from_millis(millis.parse().ok()?), id: id.parse().ok()? })
    });
    parsed.ok_or_else(|| Problem::invalid_field("cursor", "not one that this list handed out"))
}

// === impl DeadTask ===

impl From<DeadLetter> for DeadTask {
    fn from(letter: DeadLetter) -> Self {
        Self { payload: wire::json_text(&letter.payload), crashes: letter.crashes, task: letter.status.into() }
    }
}
