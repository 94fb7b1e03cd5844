//! Sheds load: requests beyond a number at once are refused at once, so that the others are answered in time.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::problem::{Problem, ProblemKind};

/// What must be answered when nothing else is: how the service is, and the brake.
const EXEMPT: [&str; 7] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/v1/brake",
    "/v1/agents/{user_id}/pause",
    "/v1/agents/{user_id}/resume",
];

/// Waits for work and costs nothing meanwhile; the number of connections bounds it.
const WAITS: &str = "/v1/queues/{queue}/lease";

/// Refuses a request for which there is no place. A stream has one until its first bytes.
pub(crate) async fn beyond(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if route.is_some_and(|route| EXEMPT.contains(&route) || route == WAITS) {
        return next.run(request).await;
    }
    let Ok(_place) = places.try_acquire() else {
        return Problem::new(ProblemKind::Overloaded).with_retry_after(Duration::from_secs(1)).into_response();
    };
    next.run(request).await
}
