//! `/v1/limits/overrides`: limits that single subjects have of their own.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trackside_ratelimit::LimitName;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::limits::{LimitSubject, named};
use crate::{ApiState, extract::StrictJson, problem::Problem};

/// A limit for one subject.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"policy": "pro", "limit": "user", "subject": {"user": "alice"}, "to": 5000}))]
struct PutLimitOverride {
    policy: String,
    /// The limit's name in the policy.
    limit: String,
    /// Whose it is; only the dimension of the limit matters.
    subject: LimitSubject,
    /// How many in the window of the limit; 0 lets nothing pass, and `null` takes the override away.
    to: Option<u64>,
}

/// The overrides that this process knows.
#[derive(Debug, Serialize, ToSchema)]
struct LimitOverrides {
    overrides: Vec<LimitOverride>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"policy": "pro", "limit": "user", "value": "alice", "to": 5000}))]
struct LimitOverride {
    policy: String,
    limit: String,
    /// The subject's value as it is counted: of an API key a digest, of an IPv6 address its first 64 bits.
    value: String,
    to: u64,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_overrides, put_override))
}

/// Limits that single subjects have of their own
#[utoipa::path(
    get, path = "/v1/limits/overrides", tag = "limits", operation_id = "get_limit_overrides",
    responses((status = OK, body = LimitOverrides))
)]
async fn get_overrides(State(state): State<ApiState>) -> Json<LimitOverrides> {
    let mut overrides: Vec<LimitOverride> = state.limits.overrides().into_iter().map(LimitOverride::from).collect();
    overrides.sort_by(|a, b| (&a.policy, &a.limit, &a.value).cmp(&(&b.policy, &b.limit, &b.value)));
    Json(LimitOverrides { overrides })
}

/// Give one subject a limit of its own
///
/// Without a restart and for good. All processes obey within a second. There may be 1024 of them.
#[utoipa::path(
    put, path = "/v1/limits/overrides", tag = "limits", operation_id = "put_limit_override", request_body = PutLimitOverride,
    responses((status = NO_CONTENT, description = "It is so"))
)]
async fn put_override(
    State(state): State<ApiState>,
    StrictJson(request): StrictJson<PutLimitOverride>,
) -> Result<StatusCode, Problem> {
    let policy = named(&state, &request.policy)?;
    let limit: LimitName = request
        .limit
        .parse()
        .map_err(|error: trackside_core::InvalidName| Problem::invalid_field("limit", error.rule))?;
    state.limits.set_override(&policy, &limit, &request.subject.read()?, request.to).await.map_err(
        |error| match error {
            // In words of this request: how many there are is what `to` says.
            trackside_ratelimit::Error::InvalidInput { field: "limit", reason } if reason.contains("at most") => {
                Problem::invalid_field("to", reason)
            }
            error => error.into(),
        },
    )?;
    Ok(StatusCode::NO_CONTENT)
}

// === impl LimitOverride ===

impl From<(trackside_ratelimit::Target, u64)> for LimitOverride {
    fn from((target, to): (trackside_ratelimit::Target, u64)) -> Self {
        let trackside_ratelimit::Target { policy, limit, value } = target;
        Self { policy: policy.to_string(), limit: limit.to_string(), value, to }
    }
}
