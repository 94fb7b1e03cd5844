//! Event streams: `retry:` first, an `id:` on every event that counts, a comment when it is quiet, the end at the end.
//!
//! A stream ends with its subject or with the service. A client that reconnects resumes after the last id it saw, by
//! `Last-Event-ID` or `?last_event_id=`; one that has the end already is answered 204, which stops an `EventSource`.

mod resume;

use std::{convert::Infallible, sync::Arc};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode, header};
use trackside_progress::{EventId, Lookup, ProgressEvent, ProgressId};

pub(crate) use self::resume::{Followed, Resume};
use crate::{ApiState, metrics::OpenStream, problem::Problem};

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Message {
    /// Present on every event that counts.
    pub(crate) id: Option<String>,
    pub(crate) name: &'static str,
    /// JSON text.
    pub(crate) data: Arc<str>,
}

/// The events of an operation, or 204 when the client has all of them.
///
/// With the store away the stream is opened all the same: it says `degraded` and goes on when the store is back.
pub(crate) async fn of_operation(
    state: &ApiState,
    route: &'static str,
    id: &ProgressId,
    after: Option<EventId>,
) -> Result<Response, Problem> {
    match state.progress.lookup(id, after).await {
        Ok(Lookup::Unknown) => return Err(Problem::not_found("operation", id)),
        Ok(Lookup::Complete) => return Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Lookup::Open) => {}
        Err(error) if error.is_of_the_store() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(stream(state, route, state.progress.events(id, after).map(Message::from)))
}

/// Answers with `messages` as a stream.
pub(crate) fn stream(
    state: &ApiState,
    route: &'static str,
    messages: impl Stream<Item = Message> + Send + 'static,
) -> Response {
    let retry = Event::default().retry(state.config.reconnect_after);
    let counted = OpenStream::count(route);
    let events = messages.take_until(state.shutdown.clone().cancelled_owned()).map(move |message| {
        // Held by the closure, so that the stream is counted for as long as it lives.
        let _ = &counted;
        message.into_event()
    });
    let events = futures::stream::once(async move { retry }).chain(events).map(Ok::<_, Infallible>);
    let heartbeat = KeepAlive::new().interval(state.config.heartbeat).text("heartbeat");
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

// === impl Message ===

impl Message {
    fn into_event(self) -> Event {
        let event = Event::default().event(self.name).data(&*self.data);
        match self.id {
            Some(id) => event.id(id),
            None => event,
        }
    }
}

impl From<ProgressEvent> for Message {
    fn from(event: ProgressEvent) -> Self {
        Self { id: event.id.map(|id| id.to_string()), name: event.kind.as_str(), data: event.data }
    }
}
