//! `/api/run`: run a tool.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use trackside_core::UserId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    access::{Caller, Owner},
    extract::{IdempotencyKey, StrictJson, replayed},
    middleware::correlation::RequestContext,
    problem::Problem,
    wire::Priority,
};

/// A tool to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RunRequest, example = json!({"tool": "word-index", "params": {"input": "texts", "top": 5}, "user_id": "user-42"}))]
struct Request {
    /// One of `/api/tools`.
    tool: String,
    /// As the tool's JSON Schema says; `{}` when left out.
    params: Option<serde_json::Map<String, serde_json::Value>>,
    /// On whose behalf it runs: the brake acts on this.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    project_id: Option<String>,
    /// `normal` when left out.
    priority: Option<Priority>,
}

/// The job was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobAccepted, example = json!({
    "job_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "status": "queued", "queue": "agent_tasks",
    "correlation_id": "order-7"
}))]
struct Accepted {
    job_id: String,
    status: &'static str,
    queue: String,
    correlation_id: String,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(run))
}

/// Run a tool
///
/// The parameters are checked against the tool's schema before anything is accepted. A request may be repeated under its
/// `Idempotency-Key`: within a day (`idempotency_ttl`) the same key with the same body starts nothing and answers the first
/// job, with the header `Idempotency-Replayed: true`. The key with another body is refused.
#[utoipa::path(
    post, path = "/api/run", tag = "tools and jobs", operation_id = "run_tool", request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "What the client calls the request, 1 to 255 characters, quoted or bare")),
    responses((status = ACCEPTED, body = Accepted, headers(
        ("Location" = String, description = "The job"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` when the job was there before")
    )))
)]
async fn run(
    State(state): State<ApiState>,
    context: RequestContext,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    StrictJson(request): StrictJson<Request>,
) -> Result<Response, Problem> {
    let user = request.user_id.as_ref().map(UserId::as_str);
    caller.require(&Owner { user, project: request.project_id.as_deref(), tenant: None })?;
    let wanted = trackside_jobs::RunRequest {
        tool: request.tool,
        params: request.params.unwrap_or_default().into(),
        user_id: request.user_id,
        project_id: request.project_id,
        priority: request.priority.map(Into::into).unwrap_or_default(),
        correlation_id: Some(context.correlation_id),
        traceparent: context.traceparent,
        idempotency_key,
    };
    let receipt = state.jobs.submit(wanted).await?;
    let location = [(header::LOCATION, format!("/api/jobs/{}", receipt.job_id))];
    let accepted = Accepted {
        job_id: receipt.job_id.to_string(),
        status: receipt.status.as_str(),
        queue: receipt.queue.to_string(),
        correlation_id: receipt.correlation_id.to_string(),
    };
    Ok((StatusCode::ACCEPTED, location, replayed(receipt.replayed), Json(accepted)).into_response())
}
