//! `/v1/agents/{user_id}`: pause and resume a user's agents, and what they say.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use trackside_control::{AgentState, PauseReceipt, PauseRequest, ResumeReceipt, Verification};
use trackside_core::{Timestamp, UserId};
use trackside_queue::BrakeScope;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::{OptionalJson, StrictJson, StrictPath},
    problem::Problem,
    reach,
};

/// Why and for how long.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PauseRequest, example = json!({"reason": "runaway spend", "by": "ops@example.org", "expires_in_s": 3600}))]
pub(crate) struct Pause {
    /// Why; at most 1024 bytes.
    reason: Option<String>,
    /// Who; at most 128 bytes.
    by: Option<String>,
    /// After how many seconds it ends by itself; never when left out.
    expires_in_s: Option<u64>,
}

/// The agents are paused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Paused, example = json!({
    "user_id": "user-42", "paused": true, "receivers": 3, "since": "2026-11-20T12:00:00.000Z", "newly": true, "pending": false
}))]
struct PausedView {
    user_id: String,
    paused: bool,
    /// How many subscribers heard of it.
    receivers: u64,
    /// A second pause does not move it.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Whether it was not paused before.
    newly: bool,
    /// The store is away: this process obeys already, the others hear of it when the store is back.
    pending: bool,
}

/// The agents may go on, unless the global brake is on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resumed, example = json!({"user_id": "user-42", "paused": false, "receivers": 3, "was_paused": true}))]
struct ResumedView {
    user_id: String,
    paused: bool,
    /// How many subscribers heard of it; 0 when there was nothing to resume.
    receivers: u64,
    was_paused: bool,
}

/// What is known of a user's agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent, example = json!({
    "user_id": "user-42", "paused": true, "paused_globally": false, "since": "2026-11-20T12:00:00.000Z",
    "reason": "runaway spend", "by": "ops@example.org", "expires_at": null, "status": {"phase": "planning"},
    "status_at": "2026-11-20T11:59:58.000Z", "pending": false
}))]
pub(crate) struct AgentView {
    user_id: String,
    /// Whether the user's own brake is on.
    paused: bool,
    /// Whether everyone is paused.
    paused_globally: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    reason: Option<String>,
    by: Option<String>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What the agents said last.
    status: Option<serde_json::Value>,
    #[schema(value_type = Option<String>, format = DateTime)]
    status_at: Option<Timestamp>,
    /// A pause waits for the store to come back.
    pending: bool,
}

/// What an agent says; any JSON object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(as = AgentStatus, value_type = serde_json::Value, example = json!({"phase": "planning", "step": 3}))]
struct Status(serde_json::Map<String, serde_json::Value>);

/// How many subscribers heard it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"user_id": "user-42", "receivers": 2}))]
struct Heard {
    user_id: String,
    receivers: u64,
}

/// What became of the user's running tasks since the pause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrakeVerification, example = json!({
    "user_id": "user-42", "paused": true, "stopped": ["0198c2d4-7c1e-7448-8000-0d7f5a2f4c11"], "stopping": [], "parked": 4,
    "disobeying": [], "verified": true
}))]
struct VerificationView {
    user_id: String,
    /// Whether the user's own brake or the global one is on.
    paused: bool,
    /// Tasks that stopped.
    stopped: Vec<String>,
    /// Tasks that were told to and still may.
    stopping: Vec<String>,
    /// Tasks of the user that wait in all queues for the brake to be released.
    parked: u64,
    /// Tasks that were told to and did not in time.
    disobeying: Vec<String>,
    /// Whether it is paused and nothing is stopping or disobeying.
    verified: bool,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_agent))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(say))
        .routes(routes!(verify))
}

/// What is known of a user's agents
#[utoipa::path(
    get, path = "/v1/agents/{user_id}", tag = "agents", operation_id = "get_agent",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    responses((status = OK, body = AgentView))
)]
async fn get_agent(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
) -> Result<Json<AgentView>, Problem> {
    Ok(Json(state.control.status(&user).await?.into()))
}

/// Pause a user's agents
///
/// Running tasks are told to stop at once, queued ones are not started. May be repeated.
#[utoipa::path(
    post, path = "/v1/agents/{user_id}/pause", tag = "agents", operation_id = "pause_agent",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    request_body = Option<Pause>, responses((status = OK, body = PausedView))
)]
async fn pause(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
    OptionalJson(request): OptionalJson<Pause>,
) -> Result<Json<PausedView>, Problem> {
    let PauseReceipt { since, receivers, newly, pending, revision } =
        state.control.pause(&user, request.into()).await?;
    reach::engaged(&state, user.clone().into(), revision).await;
    Ok(Json(PausedView { user_id: user.to_string(), paused: true, receivers, since, newly, pending }))
}

/// Let a user's agents go on
///
/// Parked tasks return to the head of their queues. May be repeated.
#[utoipa::path(
    post, path = "/v1/agents/{user_id}/resume", tag = "agents", operation_id = "resume_agent",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    responses((status = OK, body = ResumedView))
)]
async fn resume(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
) -> Result<Json<ResumedView>, Problem> {
    let ResumeReceipt { receivers, was_paused, revision } = state.control.resume(&user).await?;
    reach::released(&state, user.clone().into(), revision).await;
    Ok(Json(ResumedView { user_id: user.to_string(), paused: false, receivers, was_paused }))
}

/// Tell what a user's agents are doing
///
/// Kept as the last status, and told to whoever follows.
#[utoipa::path(
    post, path = "/v1/agents/{user_id}/status", tag = "agents", operation_id = "publish_agent_status",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    request_body = Status, responses((status = OK, body = Heard))
)]
async fn say(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
    StrictJson(Status(status)): StrictJson<Status>,
) -> Result<Json<Heard>, Problem> {
    let receivers = state.control.publish_status(&user, status.into()).await?;
    Ok(Json(Heard { user_id: user.to_string(), receivers }))
}

/// Whether a pause was obeyed
#[utoipa::path(
    get, path = "/v1/agents/{user_id}/brake", tag = "agents", operation_id = "verify_brake",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    responses((status = OK, body = VerificationView))
)]
async fn verify(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
) -> Result<Json<VerificationView>, Problem> {
    let Verification { stopped, stopping, disobeying, verified } = state.control.verification(&user).await?;
    let paused = state.control.is_paused(&user);
    let parked = if paused { state.queues.parked(&BrakeScope::User(user.clone())).await? } else { 0 };
    let user_id = user.to_string();
    Ok(Json(VerificationView { user_id, paused, stopped, stopping, parked, disobeying, verified }))
}

// === impl Pause, AgentView ===

impl From<Pause> for PauseRequest {
    fn from(pause: Pause) -> Self {
        Self { reason: pause.reason, by: pause.by, expires_in: pause.expires_in_s.map(Duration::from_secs) }
    }
}

impl From<AgentState> for AgentView {
    fn from(agent: AgentState) -> Self {
        Self {
            user_id: agent.user_id.to_string(),
            paused: agent.paused,
            paused_globally: agent.paused_globally,
            since: agent.since,
            reason: agent.reason,
            by: agent.by,
            expires_at: agent.expires_at,
            status: agent.status,
            status_at: agent.status_at,
            pending: agent.pending,
        }
    }
}
