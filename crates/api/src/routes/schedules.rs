//! `/v1/schedules`: tasks that come again.

use std::{num::NonZeroU32, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::{QueueName, ScheduleName, Timestamp, UserId};
use trackside_queue::{
    CatchUp, DEFAULT_MAX_ATTEMPTS, MAX_CATCH_UP, RetryPolicy, Schedule, ScheduleOptions, ScheduleRun, ScheduleStatus,
    When,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queue_tasks::Accepted;
use crate::{
    ApiState,
    extract::{IdempotencyKey, StrictJson, StrictPath, StrictQuery, replayed},
    problem::Problem,
    wire::{self, Backoff, PageQuery, Priority},
};

/// What stands for the time zone that a schedule does not name.
const UTC: &str = "UTC";

/// A task that comes again: by `cron`, or `every_ms`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule, example = json!({
    "queue": "exports", "kind": "report.render", "payload": {"scope": "all"}, "cron": "30 2 * * MON-FRI",
    "timezone": "Europe/Berlin"
}))]
struct ScheduleRequest {
    /// Where its tasks go.
    #[schema(value_type = String)]
    queue: QueueName,
    /// What a worker chooses the handler by.
    kind: String,
    /// Any JSON, the same for each task; `{}` when left out.
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Minute, hour, day of the month, month, day of the week, as in crontab; a sixth field in front is seconds.
    cron: Option<String>,
    /// A name of the IANA time zone database, for `cron`; `UTC` when left out.
    timezone: Option<String>,
    /// At every multiple of so many milliseconds since 1970-01-01T00:00:00Z; at least 100.
    every_ms: Option<u64>,
    /// `latest` when left out.
    catch_up: Option<Missed>,
    /// With `"catch_up": "all"`: at most so many missed slots; 1 to 256, 100 when left out.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 256)]
    catch_up_max: Option<NonZeroU32>,
    /// Each task is enqueued up to so much after its slot; how much follows from the schedule and the slot.
    #[serde(default)]
    jitter_ms: u64,
    /// Whether it rests; as it is when left out, and a new one runs.
    paused: Option<bool>,
    /// Level of its tasks; `normal` when left out.
    priority: Option<Priority>,
    timeout_ms: Option<u64>,
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_attempts: Option<NonZeroU32>,
    backoff: Option<Backoff>,
    lease_ms: Option<u64>,
    /// On whose behalf its tasks run: the brake acts on this.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// What becomes of slots that passed while nobody scheduled. `skip`: they are left out, except one that passed less than a
/// minute ago; `latest`: the newest of them is run, however late; `all`: the newest `catch_up_max` are, in their order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScheduleCatchUp)]
enum Missed {
    Skip,
    Latest,
    All,
}

/// A schedule, and what it did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
struct ScheduleView {
    name: String,
    queue: String,
    kind: String,
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
    cron: Option<String>,
    timezone: Option<String>,
    every_ms: Option<u64>,
    catch_up: Missed,
    catch_up_max: Option<u32>,
    jitter_ms: u64,
    paused: bool,
    priority: Priority,
    timeout_ms: Option<u64>,
    max_attempts: u32,
    backoff: Backoff,
    lease_ms: Option<u64>,
    user_id: Option<String>,
    project_id: Option<String>,
    tenant_id: Option<String>,
    tags: Vec<String>,
    /// The slot that comes next; `null` while it rests.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_slot: Option<Timestamp>,
    /// When the task of that slot is enqueued, which is later by the jitter.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run_at: Option<Timestamp>,
    /// The last task that it made.
    last_run: Option<RunView>,
    /// How many tasks it made by itself.
    runs: u64,
    /// Why the last slot made none.
    last_error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A task that a schedule made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleRun)]
struct RunView {
    task_id: String,
    /// Its slot; `null` when somebody asked for it.
    #[schema(value_type = Option<String>, format = DateTime)]
    slot: Option<Timestamp>,
    /// When it was enqueued.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A page of schedules, by name.
#[derive(Debug, Serialize, ToSchema)]
struct SchedulePage {
    schedules: Vec<ScheduleView>,
    /// Ask with it for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, remove))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
}

/// All schedules
#[utoipa::path(
    get, path = "/v1/schedules", tag = "schedules", operation_id = "list_schedules", params(PageQuery),
    responses((status = OK, body = SchedulePage))
)]
async fn list(
    State(state): State<ApiState>,
    StrictQuery(page): StrictQuery<PageQuery>,
) -> Result<Json<SchedulePage>, Problem> {
    let after: Option<ScheduleName> = page
        .cursor
        .as_deref()
        .map(|cursor| cursor.parse().map_err(|_| Problem::invalid_field("cursor", "not a cursor of this list")))
        .transpose()?;
    let limit = page.limit();
    let mut found = state.schedules.list(after.as_ref(), limit).await?;
    // A full page is followed by another one, which may be empty.
    let next_cursor = found.last().filter(|_| found.len() == limit).map(|last| last.schedule.name.to_string());
    let schedules = found.drain(..).map(Into::into).collect();
    Ok(Json(SchedulePage { schedules, next_cursor }))
}

/// One schedule
#[utoipa::path(
    get, path = "/v1/schedules/{name}", tag = "schedules", operation_id = "get_schedule",
    params(("name" = String, Path, description = "The schedule's name", example = "nightly-report")),
    responses((status = OK, body = ScheduleView))
)]
async fn get(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
) -> Result<Json<ScheduleView>, Problem> {
    let status = state.schedules.get(&name).await?.ok_or_else(|| Problem::not_found("schedule", &name))?;
    Ok(Json(status.into()))
}

/// Write a schedule
///
/// New, or in place of the one of that name. A schedule whose times did not change keeps its next slot, and rests if it
/// rested, so that a program may write its schedules at every start; one whose times changed begins with the first slot
/// after now. Each slot makes exactly one task, however many processes schedule and whichever of them die.
#[utoipa::path(
    put, path = "/v1/schedules/{name}", tag = "schedules", operation_id = "put_schedule",
    params(("name" = String, Path, description = "1 to 128 letters, digits, '_', '-', '.' or ':'", example = "nightly-report")),
    request_body = ScheduleRequest,
    responses((status = CREATED, body = ScheduleView), (status = OK, description = "It replaced one", body = ScheduleView))
)]
async fn put(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
    StrictJson(request): StrictJson<ScheduleRequest>,
) -> Result<(StatusCode, Json<ScheduleView>), Problem> {
    let status = state.schedules.put(request.into_schedule(name)?).await?;
    let is_new = status.created_at == status.updated_at;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(status.into())))
}

/// Remove a schedule
///
/// Tasks that it made stay.
#[utoipa::path(
    delete, path = "/v1/schedules/{name}", tag = "schedules", operation_id = "delete_schedule",
    params(("name" = String, Path, description = "The schedule's name", example = "nightly-report")),
    responses((status = NO_CONTENT, description = "It is gone"))
)]
async fn remove(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
) -> Result<StatusCode, Problem> {
    if state.schedules.remove(&name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found("schedule", &name))
}

/// Let a schedule rest
#[utoipa::path(
    post, path = "/v1/schedules/{name}/pause", tag = "schedules", operation_id = "pause_schedule",
    params(("name" = String, Path, description = "The schedule's name", example = "nightly-report")),
    responses((status = OK, body = ScheduleView))
)]
async fn pause(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(state.schedules.pause(&name).await?.into()))
}

/// Wake a schedule
///
/// It goes on with the first slot after now: those that passed while it rested are left out.
#[utoipa::path(
    post, path = "/v1/schedules/{name}/resume", tag = "schedules", operation_id = "resume_schedule",
    params(("name" = String, Path, description = "The schedule's name", example = "nightly-report")),
    responses((status = OK, body = ScheduleView))
)]
async fn resume(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(state.schedules.resume(&name).await?.into()))
}

/// Make a task of a schedule now
///
/// Besides those of its slots, and also while it rests. May be repeated under the same `Idempotency-Key`.
#[utoipa::path(
    post, path = "/v1/schedules/{name}/run", tag = "schedules", operation_id = "run_schedule",
    params(
        ("name" = String, Path, description = "The schedule's name", example = "nightly-report"),
        ("Idempotency-Key" = Option<String>, Header, description = "What the client calls the request, 1 to 255 characters, quoted or bare"),
    ),
    responses((status = ACCEPTED, body = Accepted, headers(
        ("Location" = String, description = "The task's status"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` when nothing was new")
    )))
)]
async fn run(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<ScheduleName>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    // One key may be used for several schedules.
    let key = key.map(|key| format!("{name}/{key}"));
    let made = state.schedules.run_now(&name, key).await?;
    let location = [(header::LOCATION, format!("/v1/tasks/{}", made.id))];
    Ok((StatusCode::ACCEPTED, location, replayed(made.replayed), Json(Accepted::from(made))).into_response())
}

// === impl ScheduleRequest ===

impl ScheduleRequest {
    fn into_schedule(self, name: ScheduleName) -> Result<Schedule, Problem> {
        let when = match (self.cron, self.every_ms) {
            (Some(_), Some(_)) => return Err(Problem::invalid_field("every_ms", "give either cron or every_ms")),
            (None, None) => return Err(Problem::invalid_field("cron", "give either cron or every_ms")),
            (Some(expression), None) => {
                When::Cron { expression, timezone: self.timezone.unwrap_or_else(|| UTC.to_owned()) }
            }
            (None, Some(_)) if self.timezone.is_some() => {
                return Err(Problem::invalid_field("timezone", "an interval has no time zone"));
            }
            (None, Some(millis)) => When::Every { interval: Duration::from_millis(millis) },
        };
        const DEFAULT_MAX: NonZeroU32 = NonZeroU32::new(100).unwrap();
        let catch_up = match (self.catch_up, self.catch_up_max) {
            (Some(Missed::All), Some(max)) if max.get() > MAX_CATCH_UP => {
                return Err(Problem::invalid_field("catch_up_max", format!("at most {MAX_CATCH_UP}")));
            }
            (Some(Missed::All), max) => CatchUp::All { max: max.unwrap_or(DEFAULT_MAX) },
            (_, Some(_)) => return Err(Problem::invalid_field("catch_up_max", "only with \"catch_up\": \"all\"")),
            (Some(Missed::Skip), None) => CatchUp::Skip,
            (Some(Missed::Latest) | None, None) => CatchUp::Latest,
        };
        let payload = self.payload.map_or_else(|| "{}".to_owned(), |payload| Box::<str>::from(payload).into());
        Ok(Schedule {
            options: ScheduleOptions {
                priority: self.priority.map(Into::into).unwrap_or_default(),
                timeout: self.timeout_ms.map(Duration::from_millis),
                max_attempts: self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
                retry: self.backoff.map_or_else(RetryPolicy::default, Into::into),
                lease: self.lease_ms.map(Duration::from_millis),
                user_id: self.user_id,
                project_id: self.project_id,
                tenant_id: self.tenant_id,
                tags: self.tags,
            },
            catch_up,
            jitter: Duration::from_millis(self.jitter_ms),
            paused: self.paused,
            ..Schedule::new(name, self.queue, when, self.kind, Bytes::from(payload))
        })
    }
}

// === impl ScheduleView, RunView ===

impl From<ScheduleStatus> for ScheduleView {
    fn from(status: ScheduleStatus) -> Self {
        let Schedule { name, queue, kind, payload, options, when, catch_up, jitter, paused: _ } = status.schedule;
        let (cron, timezone, every_ms) = match when {
            When::Cron { expression, timezone } => (Some(expression), Some(timezone), None),
            When::Every { interval } => (None, None, Some(wire::millis(interval))),
        };
        let (catch_up, catch_up_max) = match catch_up {
            CatchUp::Skip => (Missed::Skip, None),
            CatchUp::Latest => (Missed::Latest, None),
            CatchUp::All { max } => (Missed::All, Some(max.get())),
        };
        Self {
            name: name.to_string(),
            queue: queue.to_string(),
            kind,
            payload: wire::json_text(&payload),
            cron,
            timezone,
            every_ms,
            catch_up,
            catch_up_max,
            jitter_ms: wire::millis(jitter),
            paused: status.paused,
            priority: options.priority.into(),
            timeout_ms: options.timeout.map(wire::millis),
            max_attempts: options.max_attempts.get(),
            backoff: options.retry.into(),
            lease_ms: options.lease.map(wire::millis),
            user_id: options.user_id.map(|user| user.to_string()),
            project_id: options.project_id,
            tenant_id: options.tenant_id,
            tags: options.tags,
            next_slot: status.next_slot,
            next_run_at: status.next_run_at,
            last_run: status.last_run.map(Into::into),
            runs: status.runs,
            last_error: status.last_error,
            created_at: status.created_at,
            updated_at: status.updated_at,
        }
    }
}

impl From<ScheduleRun> for RunView {
    fn from(run: ScheduleRun) -> Self {
        Self { task_id: run.task_id.to_string(), slot: run.slot, at: run.at }
    }
}
