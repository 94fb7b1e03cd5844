//! `/v1/alerts`: what is wrong with the queues and the cache of this process, and what was.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_cache::CacheAlert;
use trackside_core::Timestamp;
use trackside_queue::{Alert, AlertState};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiState, problem::Problem};

/// Alerts by whether they hold.
#[derive(Debug, Serialize, ToSchema)]
struct Alerts {
    /// What is wrong now.
    firing: Vec<AlertView>,
    /// What was wrong and is well again, within a day; the latest first.
    recent: Vec<AlertView>,
}

/// One rule on one queue, or on one cache namespace of one process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert, example = json!({
    "alert_id": "agent_tasks.backlog.1795176000000.firing", "queue": "agent_tasks", "rule": "backlog",
    "state": "firing", "value": 140.0, "threshold": 100.0, "since": "2026-11-20T12:00:00.000Z", "resolved_at": null,
    "message": "queue agent_tasks: backlog is 140, above 100"
}))]
struct AlertView {
    /// The name of this change, as the channel and webhooks tell it.
    alert_id: String,
    /// The queue, of an alert about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// The cache namespace, of an alert about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// The process whose reads of the cache they are; the one that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    /// Of a queue: `backlog`, `oldest_age` (milliseconds), `failure_rate` (0 to 1), `dead_letters` or `unbalanced`. Of a
    /// cache namespace: `hit_ratio` (0 to 1) or `latency` (milliseconds that 99 of 100 calls of the store stayed below).
    rule: &'static str,
    /// `firing` or `resolved`.
    state: &'static str,
    /// What was measured when it came into its state.
    value: f64,
    threshold: f64,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    message: String,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(alerts))
}

/// What is wrong with the queues and the cache, and what was
///
/// The same changes are logged and published on the channel `alerts`: those of queues by one process, those of the cache by the
/// process whose reads they are about.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "queues", operation_id = "list_alerts", responses((status = OK, body = Alerts))
)]
async fn alerts(State(state): State<ApiState>) -> Result<Json<Alerts>, Problem> {
    let queues = state.monitor.alerts().await?.into_iter().map(AlertView::from);
    let alerts = queues.chain(state.cache.alerts().into_iter().map(AlertView::from));
    let (firing, mut recent): (Vec<_>, Vec<_>) = alerts.partition(|alert| alert.resolved_at.is_none());
    recent.sort_by_key(|alert| std::cmp::Reverse(alert.resolved_at));
    Ok(Json(Alerts { firing, recent }))
}

// === impl AlertView ===

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            alert_id: alert.id(),
            message: alert.message(),
            queue: Some(alert.queue.to_string()),
            namespace: None,
            process: None,
            rule: alert.rule.as_str(),
            state: alert.state.as_str(),
            value: alert.value,
            threshold: alert.threshold,
            since: alert.since,
            resolved_at: (alert.state == AlertState::Resolved).then_some(alert.changed_at),
        }
    }
}

impl From<CacheAlert> for AlertView {
    fn from(alert: CacheAlert) -> Self {
        Self {
            alert_id: alert.id(),
            message: alert.message(),
            queue: None,
            namespace: Some(alert.namespace.to_string()),
            rule: alert.rule.as_str(),
            state: alert.state(),
            value: alert.value,
            threshold: alert.threshold,
            since: alert.since,
            resolved_at: alert.resolved_at,
            process: Some(alert.process),
        }
    }
}
