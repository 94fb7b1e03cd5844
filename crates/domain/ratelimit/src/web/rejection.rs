//! Denials and failures as responses.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use trackside_core::ErrorKind;

use super::Fields;
use crate::{Decision, Error};

/// The type of a problem document that says that a quota is used up (draft-ietf-httpapi-ratelimit-headers).
pub const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// The type of one that says that there is less room than usual.
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// Why a request goes no further.
///
/// | what | status |
/// |---|---|
/// | a limit is reached | 429, with `Retry-After` |
/// | the store is away, and the policy is closed then | 503, with `Retry-After` |
/// | the application asks wrongly | 500 |
///
/// ```
/// use axum_core::response::IntoResponse as _;
/// use trackside_ratelimit::{Error, RateLimitRejection};
/// let error = Error::UnknownPolicy { name: "gold".parse()? };
/// assert_eq!(RateLimitRejection::from(error).into_response().status(), 500);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RateLimitRejection {
    /// Denied.
    #[error("a rate limit is reached")]
    Denied(Decision, Fields),
    /// There is no [`RateLimitLayer`](crate::RateLimitLayer) around the handler.
    #[error("no rate limit layer")]
    NoLayer,
    /// The limiter failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

// === impl RateLimitRejection ===

impl IntoResponse for RateLimitRejection {
    fn into_response(self) -> Response {
        let (status, kind, detail) = match &self {
            Self::Denied(..) => (StatusCode::TOO_MANY_REQUESTS, QUOTA_EXCEEDED, self.to_string()),
            Self::Failed(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                let detail = "rate limits cannot be checked at the moment".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, REDUCED_CAPACITY, detail)
            }
            Self::NoLayer | Self::Failed(_) => {
                let detail = "the rate limit could not be checked".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "about:blank", detail)
            }
        };
        if status.is_server_error() {
            let source = std::error::Error::source(&self).map(ToString::to_string);
            tracing::warn!(error = %self, error.source = source, "a request could not be held against its limits");
        }
        let title = status.canonical_reason().unwrap_or_default();
        let mut problem = json!({"type": kind, "title": title, "status": status.as_u16(), "detail": detail});
        if let Self::Denied(decision, _) = &self {
            problem["violated-policies"] = decision.violated().map(|name| json!(name.as_str())).collect();
        }
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &self {
            Self::Denied(decision, fields) => fields.write(decision, headers),
            Self::Failed(error) if status == StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = error.retry_after().map_or(1, |wait| wait.as_millis().div_ceil(1_000).max(1));
                headers.extend(HeaderValue::try_from(seconds.to_string()).map(|value| (header::RETRY_AFTER, value)));
            }
            _ => {}
        }
        response
    }
}
