//! `/v1/progress/{id}`: operations with steps, for anything that is not a task of ours.

use std::time::Duration;

use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trackside_core::Timestamp;
use trackside_progress::{NewOperation, ProgressId, Receipt, Snapshot, StepSpec, Update};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::{OptionalJson, StrictJson, StrictPath},
    problem::Problem,
    sse::{self, Followed, Resume},
};

const EVENTS_ROUTE: &str = "/v1/progress/{id}/events";

/// An operation to start.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperation, example = json!({"steps": [{"name": "read", "weight": 1}, {"name": "write", "weight": 3}], "ttl_s": 3600}))]
struct StartRequest {
    /// Its steps in order; none when there is only one percentage.
    #[serde(default)]
    steps: Vec<Step>,
    /// How long it is kept after its last event, in seconds: 1 to 31 536 000, a year.
    ttl_s: Option<u64>,
}

/// A step to come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStep)]
struct Step {
    /// Unique in the operation.
    name: String,
    /// Its share of the whole, relative to the other steps; 1 when left out.
    weight: Option<f64>,
}

/// A report. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OperationReport, example = json!({"step": "read", "percent": 40, "message": "page 5 of 12"}))]
struct Report {
    /// The step that the other fields are about; without it they are about the operation as a whole.
    step: Option<String>,
    /// From 0 to 100; never falls.
    percent: Option<f64>,
    /// What is being done, in one line.
    message: Option<String>,
    /// A final status without a step ends the operation.
    status: Option<ReportedStatus>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReportedStatus {
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// The report was taken. `buffered`: the store is away, it is kept in this process and written when the store is back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"id": "import-42", "outcome": "written"}))]
struct Taken {
    id: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReportOutcome)]
enum Outcome {
    Written,
    /// A small step of a percentage; it is told with the next event.
    Coalesced,
    Unchanged,
    Buffered,
    /// The store is away, and this was dropped to make room for later reports.
    Dropped,
}

/// How an operation stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation, example = json!({
    "id": "import-42", "status": "running", "percent": 10.0, "message": "page 5 of 12", "result": null,
    "steps": [{"name": "read", "weight": 1.0, "status": "running", "percent": 40.0, "message": "page 5 of 12"}],
    "updated_at": "2026-11-20T12:00:00.000Z"
}))]
struct OperationView {
    id: String,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
    status: &'static str,
    /// From 0 to 100, never falling.
    percent: f64,
    message: Option<String>,
    steps: Vec<StepView>,
    /// What it ended with.
    result: Option<serde_json::Value>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How a step stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperationStep)]
struct StepView {
    name: String,
    weight: f64,
    status: &'static str,
    percent: f64,
    message: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(start, report, get_operation)).routes(routes!(events))
}

/// Start an operation
///
/// Repeating it with the same steps while it runs changes nothing; with other steps it starts over.
#[utoipa::path(
    put, path = "/v1/progress/{id}", tag = "progress", operation_id = "start_operation",
    params(("id" = String, Path, description = "1 to 128 letters, digits, `.`, `_` or `-`", example = "import-42")),
    request_body = Option<StartRequest>,
    responses((status = OK, body = Taken), (status = ACCEPTED, body = Taken, description = "Kept until the store is back"))
)]
async fn start(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<ProgressId>,
    OptionalJson(request): OptionalJson<StartRequest>,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    let steps = request.steps.into_iter().map(|step| StepSpec { name: step.name, weight: step.weight.unwrap_or(1.0) });
    let operation = NewOperation { steps: steps.collect(), ttl: request.ttl_s.map(Duration::from_secs) };
    Ok(Taken::answer(&id, state.progress.put(&id, operation).await?))
}

/// Report on an operation
#[utoipa::path(
    patch, path = "/v1/progress/{id}", tag = "progress", operation_id = "report_operation",
    params(("id" = String, Path, description = "The operation's id", example = "import-42")),
    request_body = Report,
    responses((status = OK, body = Taken), (status = ACCEPTED, body = Taken, description = "Kept until the store is back"))
)]
async fn report(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<ProgressId>,
    StrictJson(request): StrictJson<Report>,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    let Report { step, percent, message, status } = request;
    let update = Update { step, percent, message, status: status.map(Into::into) };
    Ok(Taken::answer(&id, state.progress.patch(&id, update).await?))
}

/// How an operation stands
#[utoipa::path(
    get, path = "/v1/progress/{id}", tag = "progress", operation_id = "get_operation",
    params(("id" = String, Path, description = "The operation's id", example = "import-42")),
    responses((status = OK, body = OperationView))
)]
async fn get_operation(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<ProgressId>,
) -> Result<Json<OperationView>, Problem> {
    let snapshot = state.progress.get(&id).await?.ok_or_else(|| Problem::not_found("operation", &id))?;
    Ok(Json(snapshot.into()))
}

/// An operation as server-sent events
///
/// `snapshot`, then `progress`, `log`, `state` and `result` as they happen, and `end`. `degraded`: the store is away and
/// the stream waits; `reset`: what was seen last is not kept any more, a snapshot follows.
#[utoipa::path(
    get, path = "/v1/progress/{id}/events", tag = "progress", operation_id = "follow_operation",
    params(("id" = String, Path, description = "The operation's id", example = "import-42"), Resume),
    responses(Followed)
)]
async fn events(
    State(state): State<ApiState>,
    StrictPath(id): StrictPath<ProgressId>,
    Resume(after): Resume,
) -> Result<Response, Problem> {
    sse::of_operation(&state, EVENTS_ROUTE, &id, after).await
}

// === impl Taken, OperationView, ReportedStatus ===

impl Taken {
    fn answer(id: &ProgressId, receipt: Receipt) -> (StatusCode, Json<Self>) {
        let outcome = match receipt {
            Receipt::Written => Outcome::Written,
            Receipt::Coalesced => Outcome::Coalesced,
            Receipt::Unchanged => Outcome::Unchanged,
            Receipt::Buffered => Outcome::Buffered,
            Receipt::Dropped => Outcome::Dropped,
        };
        let code = match outcome {
            Outcome::Buffered | Outcome::Dropped => StatusCode::ACCEPTED,
            _ => StatusCode::OK,
        };
        (code, Json(Self { id: id.to_string(), outcome }))
    }
}

impl From<Snapshot> for OperationView {
    fn from(snapshot: Snapshot) -> Self {
        let steps = snapshot.steps.into_iter().map(|step| StepView {
            name: step.name,
            weight: step.weight,
            status: step.status.as_str(),
            percent: step.percent,
            message: step.message,
        });
        Self {
            id: snapshot.id.to_string(),
            status: snapshot.status.as_str(),
            percent: snapshot.percent,
            message: snapshot.message,
            steps: steps.collect(),
            result: snapshot.result,
            updated_at: snapshot.updated_at,
        }
    }
}

impl From<ReportedStatus> for trackside_progress::Status {
    fn from(status: ReportedStatus) -> Self {
        match status {
            ReportedStatus::Running => Self::Running,
            ReportedStatus::Completed => Self::Completed,
            ReportedStatus::Failed => Self::Failed,
            ReportedStatus::Cancelled => Self::Cancelled,
        }
    }
}
