//! `/v1/limits/…`: rate limits for programs in any language.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trackside_ratelimit::{Decision, Dimension, PolicyName, QUOTA_EXCEEDED, Reservation, Settlement, Subject, Unit};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::{StrictJson, nearest},
    middleware::correlation::RequestContext,
    problem::{FieldError, MEDIA_TYPE, Problem},
    wire,
};

/// A call that is held against a policy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"policy": "free", "subject": {"user": "alice", "ip": "203.0.113.9"}}))]
struct LimitCheck {
    /// One of `/v1/limits/policies`.
    policy: String,
    subject: LimitSubject,
    /// How much the call weighs.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    cost: u64,
    /// True only looks, and takes nothing.
    #[serde(default)]
    peek: bool,
}

/// A call whose true cost is known only afterwards.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"policy": "enterprise", "subject": {"user": "alice"}, "cost": 40}))]
struct LimitReserve {
    policy: String,
    subject: LimitSubject,
    /// How much it will weigh, as far as one can tell.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    cost: u64,
}

/// How a reservation ends. `cost` or `refund`, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reservation": "0198c2d47c1e7b6a9a530d7f5a2f4c11.WyJwcm8i…", "cost": 25}))]
struct LimitSettle {
    reservation: String,
    /// How much the call did weigh: the difference is given back, or taken even beyond the limit.
    cost: Option<u64>,
    /// True when nothing happened: everything is given back, the call itself too.
    #[serde(default)]
    refund: bool,
}

/// A reservation whose places are held for longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitRenew {
    reservation: String,
}

/// Whom a call is held against; the policy's limits of the dimensions that are left out are not checked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSubject {
    user: Option<String>,
    project: Option<String>,
    tenant: Option<String>,
    /// An IPv4 or IPv6 address; of the latter the first 64 bits count.
    ip: Option<String>,
    /// An API key; only its digest is stored.
    key: Option<String>,
    route: Option<String>,
}

/// Whether a call may go on. A denial has the members of a problem document too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "allowed": true, "source": "redis",
    "limits": [{"name": "user", "dimension": "user", "unit": "cost", "limit": 60, "remaining": 59, "window_ms": 60_000,
        "reset_ms": 60_000, "exceeded": false}]
}))]
struct LimitDecision {
    allowed: bool,
    /// The limits of the subject, in the order of the policy.
    limits: Vec<LimitView>,
    /// When the call may be made, if nobody else takes what becomes free until then; absent when it may now, or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Who decided: `redis`; `lease`: units that this process had taken before; `local`: this process alone.
    source: &'static str,
    /// True when the policy is a shadow, and would have denied the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    would_deny: bool,
    /// What `/v1/limits/settle` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Denial)]
    problem: Option<Denial>,
}

/// What makes a denial a problem document: absent when the call is allowed.
#[derive(Debug, Serialize, ToSchema)]
struct Denial {
    #[serde(rename = "type")]
    #[schema(required = false)]
    type_uri: &'static str,
    #[schema(required = false)]
    title: &'static str,
    #[schema(required = false)]
    status: u16,
    #[schema(required = false)]
    detail: String,
    #[schema(required = false)]
    code: &'static str,
    #[schema(required = false)]
    correlation_id: String,
    /// The limits that had no room.
    #[serde(rename = "violated-policies")]
    #[schema(required = false)]
    violated_policies: Vec<String>,
}

/// How one limit stands.
#[derive(Debug, Serialize, ToSchema)]
struct LimitView {
    name: String,
    dimension: &'static str,
    /// `cost`: counts what calls weigh; `request`: counts calls.
    unit: &'static str,
    limit: u64,
    remaining: u64,
    window_ms: u64,
    /// When everything is there again, if nobody takes more.
    reset_ms: u64,
    /// True when it had no room for the call.
    exceeded: bool,
}

/// Whether something happened to a reservation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"settled": true}))]
struct LimitSettled {
    /// False when it was settled before, or was kept for too long: then nothing changes.
    settled: bool,
}

/// Whether the places of a reservation are held.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"held": true}))]
struct LimitHeld {
    /// False when one was lost, because it was not renewed in time.
    held: bool,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(reserve)).routes(routes!(settle)).routes(routes!(renew))
}

/// Hold a call against its limits
///
/// All limits of the policy whose dimension the subject has, in one step: the call takes from all of them or from none. The answer
/// has the fields `RateLimit-Policy` and `RateLimit`, and a denial `Retry-After`.
#[utoipa::path(
    post, path = "/v1/limits/check", tag = "limits", operation_id = "check_limits", request_body = LimitCheck,
    responses(
        (status = OK, body = LimitDecision, description = "Allowed"),
        (status = TOO_MANY_REQUESTS, body = LimitDecision, description = "Denied, and nothing was taken",
            content_type = "application/problem+json")
    )
)]
async fn check(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(request): StrictJson<LimitCheck>,
) -> Result<Response, Problem> {
    let (policy, subject) = (named(&state, &request.policy)?, request.subject.read()?);
    let decision = if request.peek {
        state.limits.peek(&policy, &subject, request.cost).await?
    } else {
        state.limits.check(&policy, &subject, request.cost).await?
    };
    Ok(respond(&state, &context, &decision, None))
}

/// Reserve what a call may cost
///
/// As a check, for what is known only afterwards, such as the tokens of a language model; it also takes a place of each limit on what
/// runs at once. A reservation that is never settled has cost what was reserved, and its places are free after their time.
#[utoipa::path(
    post, path = "/v1/limits/reserve", tag = "limits", operation_id = "reserve_limits", request_body = LimitReserve,
    responses(
        (status = OK, body = LimitDecision, description = "Allowed; `reservation` is to be settled"),
        (status = TOO_MANY_REQUESTS, body = LimitDecision, description = "Denied, and nothing was taken",
            content_type = "application/problem+json")
    )
)]
async fn reserve(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(request): StrictJson<LimitReserve>,
) -> Result<Response, Problem> {
    let (policy, subject) = (named(&state, &request.policy)?, request.subject.read()?);
    let (decision, reservation) = state.limits.reserve(&policy, &subject, request.cost).await?;
    Ok(respond(&state, &context, &decision, reservation.as_ref()))
}

/// Settle a reservation
///
/// It may be repeated; only the first settlement has an effect.
#[utoipa::path(
    post, path = "/v1/limits/settle", tag = "limits", operation_id = "settle_limits", request_body = LimitSettle,
    responses((status = OK, body = LimitSettled))
)]
async fn settle(
    State(state): State<ApiState>,
    StrictJson(request): StrictJson<LimitSettle>,
) -> Result<Json<LimitSettled>, Problem> {
    let reservation: Reservation = request.reservation.parse()?;
    let settlement = match (request.cost, request.refund) {
        (Some(used), false) => Settlement::Used(used),
        (None, true) => Settlement::Refund,
        (None, false) => return Err(Problem::invalid_field("cost", "missing; or `refund` when nothing happened")),
        (Some(_), true) => return Err(Problem::invalid_field("refund", "not together with `cost`")),
    };
    Ok(Json(LimitSettled { settled: state.limits.settle(&reservation, settlement).await? }))
}

/// Hold the places of a reservation for longer
///
/// For another window of the limits on what runs at once.
#[utoipa::path(
    post, path = "/v1/limits/renew", tag = "limits", operation_id = "renew_limits", request_body = LimitRenew,
    responses((status = OK, body = LimitHeld))
)]
async fn renew(
    State(state): State<ApiState>,
    StrictJson(request): StrictJson<LimitRenew>,
) -> Result<Json<LimitHeld>, Problem> {
    let reservation: Reservation = request.reservation.parse()?;
    Ok(Json(LimitHeld { held: state.limits.renew(&reservation).await? }))
}

const fn one() -> u64 {
    1
}

/// The policy of this name; an unknown one is refused with the nearest.
pub(crate) fn named(state: &ApiState, name: &str) -> Result<PolicyName, Problem> {
    let known: Vec<&str> = state.limits.policies().map(|(name, _)| name.as_str()).collect();
    if known.contains(&name) {
        return name.parse().map_err(Problem::from);
    }
    Err(Problem::invalid(vec![FieldError {
        field: "policy".to_owned(),
        message: format!("no policy is called `{name}`"),
        suggestion: nearest(name, known.into_iter()),
    }]))
}

/// A decision with its fields; a denial as a problem document.
fn respond(
    state: &ApiState,
    context: &RequestContext,
    decision: &Decision,
    reservation: Option<&Reservation>,
) -> Response {
    let problem = (!decision.allowed).then(|| Denial::of(decision, context));
    let body = LimitDecision {
        allowed: decision.allowed,
        limits: decision.limits().map(LimitView::from).collect(),
        retry_after_ms: decision.retry_after.map(wire::millis),
        source: decision.source.as_str(),
        would_deny: decision.would_deny,
        reservation: reservation.map(ToString::to_string),
        problem,
    };
    let mut response = Json(body).into_response();
    if !decision.allowed {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(MEDIA_TYPE));
    }
    state.config.limit_fields.write(decision, response.headers_mut());
    response
}

// === impl LimitSubject ===

impl LimitSubject {
    pub(crate) fn read(self) -> Result<Subject, Problem> {
        let Self { user, project, tenant, ip, key, route } = self;
        let mut subject = Subject::default();
        for (dimension, value) in Dimension::ALL.into_iter().zip([user, project, tenant, ip, key, route]) {
            if let Some(value) = value {
                subject = subject.with(dimension, &value).map_err(|error| Problem::from(error).inside("subject"))?;
            }
        }
        Ok(subject)
    }
}

// === impl Denial ===

impl Denial {
    fn of(decision: &Decision, context: &RequestContext) -> Self {
        let violated_policies: Vec<String> = decision.violated().map(ToString::to_string).collect();
        let what = match violated_policies.as_slice() {
            [one] => format!("the limit {one} has no room for this call"),
            all => format!("the limits {} have no room for this call", all.join(", ")),
        };
        Self {
            type_uri: QUOTA_EXCEEDED,
            title: "A limit is reached",
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            detail: what,
            code: "quota-exceeded",
            correlation_id: context.correlation_id.to_string(),
            violated_policies,
        }
    }
}

// === impl LimitView ===

impl From<trackside_ratelimit::LimitState> for LimitView {
    fn from(state: trackside_ratelimit::LimitState) -> Self {
        Self {
            name: state.name.to_string(),
            dimension: state.dimension.as_str(),
            unit: unit(state.unit),
            limit: state.limit,
            remaining: state.remaining,
            window_ms: wire::millis(state.window),
            reset_ms: wire::millis(state.reset),
            exceeded: state.is_exceeded,
        }
    }
}

pub(super) const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Cost => "cost",
        Unit::Request => "request",
    }
}
