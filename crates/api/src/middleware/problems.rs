//! The one place where failures become problem documents, and where their causes are logged.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::{HeaderValue, StatusCode, header};

use super::correlation::RequestContext;
use crate::problem::{MEDIA_TYPE, Problem, ProblemKind};

/// Writes the [`Problem`] that a response carries, or one for a bare status that a layer below answered.
pub(crate) async fn write(context: RequestContext, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || has_its_own_body(&response) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| Problem::new(ProblemKind::of_status(status)));
    log(&problem, status);
    let document = serde_json::to_vec(&problem.document(&context.correlation_id)).unwrap_or_default();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(document))
}

/// A health answer has a body of its own with any status, and so has a denial by a rate limit, which is a problem document already.
fn has_its_own_body(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json") || value == MEDIA_TYPE)
}

/// Logs the cause, where there is one.
pub(crate) fn log(problem: &Problem, status: StatusCode) {
    let code = problem.kind().slug();
    match problem.cause_chain() {
        Some(error) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(problem.code = code, error, "request failed");
        }
        Some(error) => tracing::warn!(problem.code = code, error, "request failed"),
        None => tracing::debug!(problem.code = code, "request refused"),
    }
}
