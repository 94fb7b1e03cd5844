//! The bound on requests that answer at once.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    ApiState,
    problem::{Problem, ProblemKind},
};

/// Gives a request up when its answer has not begun within the configured time.
pub(crate) async fn bound(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let limit = state.config.request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(ProblemKind::RequestTimeout)
            .with_detail(format!("no answer within {} ms; the outcome is unknown", limit.as_millis()))
            .with_retry_after(Duration::from_secs(1))
            .into_response(),
    }
}
