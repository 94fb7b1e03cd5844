//! The events of a stream by WebSocket, for clients that cannot read server-sent events.

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{self, CloseFrame, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt as _};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    ApiState,
    access::Caller,
    metrics::OpenStream,
    problem::{Problem, ProblemKind},
    sse::Message,
    wire,
};

/// Clients say nothing but pongs here.
const MAX_INBOUND_BYTES: usize = 4 * 1024;

/// A message as it is sent.
#[derive(Debug, Serialize)]
struct Frame {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    data: Box<RawValue>,
}

/// The problem of a request that does not ask for a WebSocket as it should.
pub(crate) fn not_an_upgrade(rejection: WebSocketUpgradeRejection) -> Problem {
    let detail = rejection.body_text();
    let status = rejection.into_response().status();
    let status = if status.is_client_error() { status } else { StatusCode::BAD_REQUEST };
    Problem::new(ProblemKind::of_status(status)).with_detail(detail)
}

/// Sends `messages` until they end, the client leaves, its key is revoked or the service shuts down.
pub(crate) fn stream(
    state: &ApiState,
    caller: &Caller,
    route: &'static str,
    upgrade: WebSocketUpgrade,
    messages: impl Stream<Item = Message> + Send + Unpin + 'static,
) -> Response {
    let (state, gone) = (state.clone(), caller.gone());
    upgrade.max_message_size(MAX_INBOUND_BYTES).on_upgrade(move |socket| async move {
        let _counted = OpenStream::count(route);
        if let Err(error) = send_all(&state, socket, messages, gone).await {
            tracing::debug!(http.route = route, %error, "a web socket broke");
        }
    })
}

async fn send_all(
    state: &ApiState,
    mut socket: WebSocket,
    mut messages: impl Stream<Item = Message> + Unpin,
    gone: impl Future<Output = ()>,
) -> Result<(), axum::Error> {
    let mut heartbeat = interval(state.config.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(gone);
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return close(socket, close_code::AWAY, "shutting down").await,
            () = &mut gone => return close(socket, close_code::POLICY, "the key is revoked or over").await,
            message = messages.next() => match message {
                Some(message) => socket.send(ws::Message::Text(message.into_frame().into())).await?,
                None => return close(socket, close_code::NORMAL, "end").await,
            },
            _ = heartbeat.tick() => socket.send(ws::Message::Ping(bytes::Bytes::new())).await?,
            inbound = socket.recv() => match inbound {
                None | Some(Ok(ws::Message::Close(_))) => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => {}
            },
        }
    }
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) -> Result<(), axum::Error> {
    let frame = CloseFrame { code, reason: reason.into() };
    socket.send(ws::Message::Close(Some(frame))).await
}

// === impl Message ===

impl Message {
    fn into_frame(self) -> String {
        let frame = Frame { event: self.name, id: self.id, data: wire::json_text(self.data.as_bytes()) };
        serde_json::to_string(&frame).unwrap_or_default()
    }
}
