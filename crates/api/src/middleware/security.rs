//! Headers that tell browsers to be careful with every answer.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, header};

use crate::ApiState;

/// An answer is no page, whatever somebody put into the cache or left as an output: nothing in it runs.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
/// The page to try the API is made of files of this service.
const OWN_FILES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
);
const ONE_YEAR_OF_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Adds the headers that an answer does not have yet.
pub(crate) async fn harden(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let is_docs = request.uri().path().starts_with("/docs");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    let policy = if is_docs { OWN_FILES } else { NOTHING_RUNS };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    if state.config.tls {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(ONE_YEAR_OF_TLS);
    }
    if state.access.asks_for_keys() {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}
