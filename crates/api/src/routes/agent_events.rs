//! `/v1/agents/{user_id}/events`, `/ws`: pauses, resumes and what the agents say, as it happens.

use std::sync::Arc;

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use futures::{Stream, StreamExt as _};
use serde_json::json;
use trackside_control::{BrakeScope, BrakeState, ControlEvent};
use trackside_core::{Timestamp, UserId};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::agents::AgentView;
use crate::{
    ApiState,
    access::Caller,
    extract::StrictPath,
    problem::Problem,
    socket,
    sse::{self, Message},
};

const ROUTE: &str = "/v1/agents/{user_id}/events";
const SOCKET_ROUTE: &str = "/v1/agents/{user_id}/ws";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(events)).routes(routes!(web_socket))
}

/// A user's agents as server-sent events
///
/// `snapshot` as at `/v1/agents/{user_id}`, then a `state` for each pause, resume (the global brake's too) and status.
/// `reset`: something may have been missed, a snapshot follows. These events carry no ids: a new connection begins with
/// a snapshot.
#[utoipa::path(
    get, path = "/v1/agents/{user_id}/events", tag = "agents", operation_id = "follow_agent",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    responses((status = OK, body = String, content_type = "text/event-stream"))
)]
async fn events(State(state): State<ApiState>, StrictPath(user): StrictPath<UserId>) -> Result<Response, Problem> {
    let scope = BrakeScope::user(&user)?;
    Ok(sse::stream(&state, ROUTE, follow(state.clone(), user, scope)))
}

/// A user's agents by WebSocket
///
/// The events of `/v1/agents/{user_id}/events`, each as a text message `{"event", "data"}`. The socket is closed with 1001
/// when the service shuts down.
#[utoipa::path(
    get, path = "/v1/agents/{user_id}/ws", tag = "agents", operation_id = "watch_agent",
    params(("user_id" = String, Path, description = "The user", example = "user-42")),
    responses((status = SWITCHING_PROTOCOLS, description = "A WebSocket"))
)]
async fn web_socket(
    State(state): State<ApiState>,
    caller: Caller,
    StrictPath(user): StrictPath<UserId>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let scope = BrakeScope::user(&user)?;
    let upgrade = upgrade.map_err(socket::not_an_upgrade)?;
    Ok(socket::stream(&state, &caller, SOCKET_ROUTE, upgrade, follow(state.clone(), user, scope).boxed()))
}

/// The subscription comes before the snapshot, so that nothing falls between the two.
fn follow(state: ApiState, user: UserId, own: BrakeScope) -> impl Stream<Item = Message> + Send + 'static {
    async_stream::stream! {
        let mut changes = state.control.watch();
        yield snapshot(&state, &user).await;
        while let Some(change) = changes.next().await {
            match change {
                ControlEvent::Resync => {
                    yield message("reset", &json!({"reason": "changes may be missing"}));
                    yield snapshot(&state, &user).await;
                }
                ControlEvent::Pause(brake) if brake.scope == own || brake.scope == BrakeScope::Everyone => {
                    yield message("state", &paused(&brake));
                }
                ControlEvent::Resume { scope, .. } if scope == own || scope == BrakeScope::Everyone => {
                    yield message("state", &json!({"event": "resume", "user_id": scope.as_str(), "at": Timestamp::now()}));
                }
                ControlEvent::Status { user_id, status, at } if user_id == user => {
                    yield message("state", &json!({"event": "status", "user_id": user_id, "at": at, "status": status}));
                }
                ControlEvent::Pause(_) | ControlEvent::Resume { .. } | ControlEvent::Status { .. } => {}
            }
        }
    }
}

fn paused(brake: &BrakeState) -> serde_json::Value {
    json!({
        "event": "pause", "user_id": brake.scope.as_str(), "at": Timestamp::now(), "since": brake.since,
        "reason": brake.reason, "by": brake.by, "expires_at": brake.expires_at,
    })
}

async fn snapshot(state: &ApiState, user: &UserId) -> Message {
    match state.control.status(user).await {
        Ok(agent) => message("snapshot", &AgentView::from(agent)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a stream of an agent begins without a snapshot");
            message("degraded", &json!({"reason": error.kind()}))
        }
    }
}

fn message(name: &'static str, data: &impl serde::Serialize) -> Message {
    Message { id: None, name, data: Arc::from(serde_json::to_string(data).unwrap_or_default()) }
}
