//! The id that joins a request to its tasks, their progress and every log line.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use tracing::Instrument as _;
use trackside_core::{CorrelationId, TraceParent};

const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// What a request carries into everything done for it.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The caller's `X-Correlation-ID` when it is well formed, else the trace id of its `traceparent`, else a new one.
    pub(crate) correlation_id: CorrelationId,
    /// Where the trace continues, when there is one.
    pub(crate) traceparent: Option<TraceParent>,
}

/// Gives the request its context and its span, and names the id on the answer.
pub(crate) async fn attach(mut request: Request, next: Next) -> Response {
    let mut context = RequestContext::of(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "http.request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        correlation.id = %context.correlation_id,
    );
    trackside_telemetry::set_parent_from_headers(&span, request.headers());
    // What the request makes continues the trace from here; without telemetry, from where the caller was.
    let here = span.in_scope(trackside_telemetry::current_traceparent);
    context.traceparent = here.or(context.traceparent);
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(context.correlation_id.as_str()) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    response
}

// === impl RequestContext ===

impl RequestContext {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let traceparent: Option<TraceParent> = text(&TRACEPARENT_HEADER).and_then(|value| value.parse().ok());
        let correlation_id = text(&CORRELATION_HEADER)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| CorrelationId::accept(traceparent.as_ref().map(TraceParent::trace_id)));
        Self { correlation_id, traceparent }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}
