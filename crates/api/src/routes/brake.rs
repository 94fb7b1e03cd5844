//! `/v1/brake`: the brake that holds everyone.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_control::{BrakeScope, BrakeState, ResumeReceipt};
use trackside_core::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::agents::Pause;
use crate::{ApiState, extract::OptionalJson, problem::Problem, reach};

/// The brake that holds everyone, and the users who are paused themselves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Brake, example = json!({
    "engaged": true, "since": "2026-11-20T12:00:00.000Z", "reason": "provider outage", "by": "ops@example.org",
    "expires_at": null, "paused_users": []
}))]
struct BrakeView {
    engaged: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    reason: Option<String>,
    by: Option<String>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Users who are paused themselves, as far as this process knows.
    paused_users: Vec<PausedUser>,
}

/// A user who is paused.
#[derive(Debug, Serialize, ToSchema)]
struct PausedUser {
    user_id: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    reason: Option<String>,
    by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// The global brake was pulled or released.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"engaged": true, "receivers": 3, "since": "2026-11-20T12:00:00.000Z", "pending": false}))]
struct BrakeChanged {
    engaged: bool,
    /// How many subscribers heard of it.
    receivers: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The store is away: this process obeys already, the others hear of it when the store is back.
    pending: bool,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_brake, engage, release))
}

/// The brake that holds everyone, and who is paused
#[utoipa::path(
    get, path = "/v1/brake", tag = "agents", operation_id = "get_brake", responses((status = OK, body = BrakeView))
)]
async fn get_brake(State(state): State<ApiState>) -> Result<Json<BrakeView>, Problem> {
    let global = state.control.global().await?;
    let brakes = state.control.paused().brakes.into_iter();
    let paused_users = brakes.filter(|brake| brake.scope != BrakeScope::Everyone).map(Into::into).collect();
    Ok(Json(BrakeView {
        engaged: global.is_some(),
        since: global.as_ref().map(|brake| brake.since),
        expires_at: global.as_ref().and_then(|brake| brake.expires_at),
        reason: global.as_ref().and_then(|brake| brake.reason.clone()),
        by: global.and_then(|brake| brake.by),
        paused_users,
    }))
}

/// Pull the brake for everyone
///
/// Running tasks are told to stop at once, queued ones are not started. May be repeated.
#[utoipa::path(
    put, path = "/v1/brake", tag = "agents", operation_id = "engage_brake",
    request_body = Option<Pause>, responses((status = OK, body = BrakeChanged))
)]
async fn engage(
    State(state): State<ApiState>,
    OptionalJson(request): OptionalJson<Pause>,
) -> Result<Json<BrakeChanged>, Problem> {
    let receipt = state.control.set_global(request.into()).await?;
    reach::engaged(&state, BrakeScope::Everyone, receipt.revision).await;
    let (since, receivers, pending) = (Some(receipt.since), receipt.receivers, receipt.pending);
    Ok(Json(BrakeChanged { engaged: true, receivers, since, pending }))
}

/// Release the brake for everyone
///
/// Users who are paused themselves stay paused. May be repeated.
#[utoipa::path(
    delete, path = "/v1/brake", tag = "agents", operation_id = "release_brake",
    responses((status = OK, body = BrakeChanged))
)]
async fn release(State(state): State<ApiState>) -> Result<Json<BrakeChanged>, Problem> {
    let ResumeReceipt { receivers, revision, .. } = state.control.clear_global().await?;
    reach::released(&state, BrakeScope::Everyone, revision).await;
    Ok(Json(BrakeChanged { engaged: false, receivers, since: None, pending: false }))
}

// === impl PausedUser ===

impl From<BrakeState> for PausedUser {
    fn from(brake: BrakeState) -> Self {
        Self {
            user_id: brake.scope.to_string(),
            since: brake.since,
            reason: brake.reason,
            by: brake.by,
            expires_at: brake.expires_at,
        }
    }
}
