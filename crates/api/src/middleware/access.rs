//! One log line and one measurement per request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

use crate::{access::Caller, metrics};

/// Logs method, path, status, duration and the public id of the key that was shown, never the query, the headers or the body.
///
/// For a stream, the duration is the time until its answer began.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let elapsed = started.elapsed();
    let status = response.status();
    let key = response.extensions().get().and_then(Caller::key_id).map(|id| id.to_string());
    metrics::request(&method, route.as_deref(), status, elapsed);
    let duration_ms = elapsed.as_secs_f64() * 1_000.0;
    let route = route.as_deref().unwrap_or("unmatched");
    // Probes and scrapes come every few seconds for ever.
    if status.is_success() && (route.starts_with("/health") || route == "/metrics") {
        tracing::debug!(
            http.request.method = %method,
            url.path = path,
            http.response.status_code = status.as_u16(),
            duration_ms,
            key.id = key,
            "request answered"
        );
    } else {
        tracing::info!(
            http.request.method = %method,
            url.path = path,
            http.response.status_code = status.as_u16(),
            duration_ms,
            key.id = key,
            "request answered"
        );
    }
    response
}
