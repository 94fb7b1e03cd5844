//! The bound on the time that the body of a request takes to arrive.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use crate::{
    ApiState,
    problem::{Problem, ProblemKind},
};

/// A body that ends with an error when its time is over.
struct Timed {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    is_over: Arc<AtomicBool>,
}

/// Why reading it failed; the caller is told by [`bound`].
#[derive(Debug, thiserror::Error)]
#[error("the body took too long to arrive")]
struct TooSlow;

/// Answers 408 when the body of a request has not arrived in time, and 413 before it does when it says that it is too large.
pub(crate) async fn bound(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (said, most) = (request.body().size_hint().lower(), state.config.max_body_bytes);
    // A sender of webhooks has a limit of its own.
    if said > most as u64 && !request.uri().path().starts_with("/webhooks/") {
        let detail = format!("at most {most} bytes are accepted");
        return Problem::new(ProblemKind::PayloadTooLarge).with_detail(detail).into_response();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let limit = state.config.body_timeout;
    let request =
        request.map(|body| Body::new(Timed { body, deadline: Box::pin(sleep(limit)), is_over: Arc::clone(&is_over) }));
    let response = next.run(request).await;
    if is_over.load(Ordering::Relaxed) {
        let detail = format!("the body had not arrived after {} ms; the request had no effect", limit.as_millis());
        return Problem::new(ProblemKind::BodyTooSlow).with_detail(detail).into_response();
    }
    response
}

// === impl Timed ===

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if self.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_over.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
