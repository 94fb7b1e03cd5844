//! Failures as responses.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use trackside_core::ErrorKind;

use crate::Error;

/// Why a request goes no further; a handler may answer it with `?`.
///
/// | what | status |
/// |---|---|
/// | not logged in | 401, with `WWW-Authenticate: Bearer` |
/// | forged by another site | 403 |
/// | the secret was replaced, or the context changed too often meanwhile | 409 |
/// | a field is wrong | 422 |
/// | too many sessions | 429 |
/// | the store is away | 503, with `Retry-After`; cookies stay |
/// | anything else | 500 |
///
/// ```
/// use axum_core::response::IntoResponse as _;
/// use trackside_session::{Error, SessionRejection};
/// let response = SessionRejection::from(Error::NoSession).into_response();
/// assert_eq!(response.status(), 401);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionRejection {
    /// The page of another site has made the request.
    #[error("the request comes from another site")]
    Forged,
    /// There is no [`SessionLayer`](crate::SessionLayer) around the handler.
    #[error("no session layer")]
    NoLayer,
    /// A session operation failed.
    #[error(transparent)]
    Session(#[from] Error),
}

// === impl SessionRejection ===

impl SessionRejection {
    fn status(&self) -> StatusCode {
        let error = match self {
            Self::Forged => return StatusCode::FORBIDDEN,
            Self::NoLayer => return StatusCode::INTERNAL_SERVER_ERROR,
            Self::Session(error) => error,
        };
        match error.kind() {
            _ if error.is_logged_out() => StatusCode::UNAUTHORIZED,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable | ErrorKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let status = self.status();
        // What failed inside is for the log.
        let detail = match status {
            StatusCode::SERVICE_UNAVAILABLE => "sessions are not available at the moment".to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => "the session could not be read".to_owned(),
            _ => self.to_string(),
        };
        if status.is_server_error() {
            let source = std::error::Error::source(&self).map(ToString::to_string);
            tracing::warn!(error = %self, error.source = source, "a request could not have its session");
        }
        let title = status.canonical_reason().unwrap_or_default();
        let problem = serde_json::json!({"title": title, "status": status.as_u16(), "detail": detail});
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = match &self {
                Self::Session(error) => error.retry_after(),
                _ => None,
            };
            let seconds = retry_after.map_or(1, |time| time.as_millis().div_ceil(1_000).max(1));
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::try_from(seconds.to_string()).unwrap_or_else(|_| HeaderValue::from_static("1")),
            );
        }
        response
    }
}
