//! `/v1/limits/policies`: what is limited, and how.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_ratelimit::{Algorithm, Dimension, Outage, PolicyName};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::limits::unit;
use crate::{ApiState, wire};

/// The policies of the settings.
#[derive(Debug, Serialize, ToSchema)]
struct LimitPolicies {
    policies: Vec<LimitPolicy>,
}

/// What is limited together.
#[derive(Debug, Serialize, ToSchema)]
struct LimitPolicy {
    policy: String,
    limits: Vec<PolicyLimit>,
    /// The dimension in each value of which everything is counted anew.
    within: Option<&'static str>,
    /// What happens while the store is away: `local`, `closed` or `open`.
    outage: &'static str,
    /// True lets everything pass.
    shadow: bool,
}

/// One limit of a policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyLimit {
    name: String,
    dimension: &'static str,
    unit: &'static str,
    limit: u64,
    window_ms: u64,
    algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u64>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(policies))
}

/// The configured policies
#[utoipa::path(
    get, path = "/v1/limits/policies", tag = "limits", operation_id = "get_limit_policies",
    responses((status = OK, body = LimitPolicies))
)]
async fn policies(State(state): State<ApiState>) -> Json<LimitPolicies> {
    let by_name: BTreeMap<_, _> = state.limits.policies().collect();
    let policies = by_name.into_iter().map(|(name, policy)| LimitPolicy::of(name, policy)).collect();
    Json(LimitPolicies { policies })
}

// === impl LimitPolicy ===

impl LimitPolicy {
    fn of(name: &PolicyName, policy: &trackside_ratelimit::Policy) -> Self {
        let limits = policy.limits.iter().map(|limit| PolicyLimit {
            name: limit.name.to_string(),
            dimension: limit.dimension.as_str(),
            unit: unit(limit.unit),
            limit: limit.quota.limit,
            window_ms: wire::millis(limit.quota.window),
            algorithm: Algorithm::as_str(limit.quota.algorithm),
            burst: limit.quota.burst,
        });
        Self {
            policy: name.to_string(),
            limits: limits.collect(),
            within: policy.within.map(Dimension::as_str),
            outage: match policy.outage {
                Outage::Local => "local",
                Outage::Closed => "closed",
                Outage::Open => "open",
            },
            shadow: policy.is_shadow,
        }
    }
}
