//! `/health`, `/health/live`, `/health/ready`: how the service is, for people and for probes.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use futures::future::join_all;
use http::StatusCode;
use serde::Serialize;
use trackside_core::{ComponentHealth, HealthStatus};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::ApiState;

/// A component answers within two seconds; one that does not is down.
const CHECK_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The component that every part of the service has a degraded answer for.
const REDIS: &str = "redis";

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "ok", "store": "redis", "durable": true, "redis": "connected", "version": "0.1.0",
    "components": {"redis": {"status": "ok", "latency_ms": 0.4}}
}))]
struct Health {
    /// `ok`; `degraded`: works with a loss; `down`: unusable.
    status: Status,
    /// `redis`, or `memory`: nothing survives a restart.
    store: &'static str,
    /// Whether what was accepted survives a restart.
    durable: bool,
    redis: RedisConnection,
    version: &'static str,
    /// Each component by its name.
    components: BTreeMap<&'static str, Component>,
}

/// How one component is.
#[derive(Debug, Serialize, ToSchema)]
struct Component {
    status: Status,
    /// Why, when it is not `ok`, or when there is something to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How long the check took, where it is a round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HealthStatus)]
enum Status {
    Ok,
    Degraded,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RedisConnection {
    Connected,
    Disconnected,
    NotConfigured,
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct Liveness {
    status: Status,
}

/// Whether requests should be sent here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"ready": true, "redis": "connected"}))]
struct Readiness {
    ready: bool,
    redis: RedisConnection,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(live)).routes(routes!(ready))
}

/// How every component is
///
/// Answers 200 also when degraded: with Redis away each part still answers as its degradation says.
#[utoipa::path(
    get, path = "/health", tag = "health", operation_id = "get_health",
    responses((status = OK, body = Health), (status = SERVICE_UNAVAILABLE, body = Health, description = "Unusable"))
)]
async fn health(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    let checks = state.health.iter().map(|check| async {
        let answer = tokio::time::timeout(CHECK_TIMEOUT, check.check()).await;
        (check.name(), answer.unwrap_or_else(|_| ComponentHealth::down("no answer in time")))
    });
    let components: BTreeMap<&'static str, ComponentHealth> = join_all(checks).await.into_iter().collect();
    let status = overall(&components, state.shutdown.is_cancelled());
    let code = if status == Status::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = Health {
        status,
        store: state.store.kind.as_str(),
        durable: state.store.durable,
        redis: redis(&state),
        version: state.build.version,
        components: components.into_iter().map(|(name, health)| (name, health.into())).collect(),
    };
    (code, Json(body))
}

/// The process answers
///
/// Asks nobody else, so that an outage elsewhere does not get the process restarted.
#[utoipa::path(get, path = "/health/live", tag = "health", operation_id = "get_liveness", responses((status = OK, body = Liveness)))]
async fn live() -> Json<Liveness> {
    Json(Liveness { status: Status::Ok })
}

/// Whether requests should be sent here
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "get_readiness",
    responses(
        (status = OK, body = Readiness),
        (status = SERVICE_UNAVAILABLE, body = Readiness, description = "Redis is away, or the service shuts down")
    )
)]
async fn ready(State(state): State<ApiState>) -> (StatusCode, Json<Readiness>) {
    let redis = redis(&state);
    let detail = if state.shutdown.is_cancelled() {
        Some("shutting down")
    } else if redis == RedisConnection::Disconnected {
        Some("Redis is away")
    } else {
        None
    };
    let code = if detail.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Readiness { ready: detail.is_none(), redis, detail }))
}

fn redis(state: &ApiState) -> RedisConnection {
    match &state.redis {
        None => RedisConnection::NotConfigured,
        Some(redis) if redis.is_connected() => RedisConnection::Connected,
        Some(_) => RedisConnection::Disconnected,
    }
}

/// Redis away is a loss that every part has an answer to; anything else that is down makes the service unusable.
fn overall(components: &BTreeMap<&'static str, ComponentHealth>, is_shutting_down: bool) -> Status {
    let is_down = |name: &str, health: &ComponentHealth| health.status == HealthStatus::Down && name != REDIS;
    if is_shutting_down || components.iter().any(|(name, health)| is_down(name, health)) {
        Status::Down
    } else if components.values().any(|health| health.status != HealthStatus::Ok) {
        Status::Degraded
    } else {
        Status::Ok
    }
}

// === impl Component ===

impl From<ComponentHealth> for Component {
    fn from(health: ComponentHealth) -> Self {
        let status = match health.status {
            HealthStatus::Ok => Status::Ok,
            HealthStatus::Degraded => Status::Degraded,
            HealthStatus::Down => Status::Down,
        };
        Self { status, detail: health.detail, latency_ms: health.latency_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_away_degrades_and_anything_else_that_is_down_makes_unusable() {
        let of = |list: &[(&'static str, ComponentHealth)]| overall(&list.iter().cloned().collect(), false);
        assert_eq!(of(&[]), Status::Ok);
        assert_eq!(of(&[("redis", ComponentHealth::down("refused"))]), Status::Degraded);
        assert_eq!(of(&[("history", ComponentHealth::degraded("slow"))]), Status::Degraded);
        assert_eq!(
            of(&[("history", ComponentHealth::down("disk full")), ("redis", ComponentHealth::ok())]),
            Status::Down
        );
        assert_eq!(overall(&BTreeMap::new(), true), Status::Down);
    }
}
