//! `/v1/alerts`: what is wrong with the queues, and what was.

use axum::{Json, extract::State};
use serde::Serialize;
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

/// One rule on one queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert, example = json!({
    "alert_id": "agent_tasks.backlog.1795176000000.firing", "queue": "agent_tasks", "rule": "backlog",
    "state": "firing", "value": 140.0, "threshold": 100.0, "since": "2026-11-20T12:00:00.000Z", "resolved_at": null,
    "message": "queue agent_tasks: backlog is 140, above 100"
}))]
struct AlertView {
    /// The name of this change, as the channel and webhooks tell it.
    alert_id: String,
    queue: String,
    /// `backlog`, `oldest_age` (milliseconds), `failure_rate` (0 to 1), `dead_letters` or `unbalanced`.
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

/// What is wrong with the queues, and what was
///
/// The same changes are logged and published on the channel `alerts`, each by one process.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "queues", operation_id = "list_alerts", responses((status = OK, body = Alerts))
)]
async fn alerts(State(state): State<ApiState>) -> Result<Json<Alerts>, Problem> {
    let alerts = state.monitor.alerts().await?;
    let (firing, mut recent): (Vec<Alert>, Vec<Alert>) =
        alerts.into_iter().partition(|alert| alert.state == AlertState::Firing);
    recent.sort_by_key(|alert| std::cmp::Reverse(alert.changed_at));
    Ok(Json(Alerts {
        firing: firing.into_iter().map(Into::into).collect(),
        recent: recent.into_iter().map(Into::into).collect(),
    }))
}

// === impl AlertView ===

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            alert_id: alert.id(),
            message: alert.message(),
            queue: alert.queue.to_string(),
            rule: alert.rule.as_str(),
            state: alert.state.as_str(),
            value: alert.value,
            threshold: alert.threshold,
            since: alert.since,
            resolved_at: (alert.state == AlertState::Resolved).then_some(alert.changed_at),
        }
    }
}
