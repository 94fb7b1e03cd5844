//! Problem documents (RFC 9457): the one shape of every answer that is not a success.
//!
//! A handler fails with a [`Problem`]. It travels in the response's extensions and is written by
//! [`middleware::problems`](crate::middleware::problems), which knows the correlation id and logs the cause once.

use std::{sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use trackside_core::CorrelationId;
use utoipa::ToSchema;

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The kinds of problems, each with a page of its own at `/problems/{slug}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    MalformedJson,
    CrossSiteRequest,
    HostNotAllowed,
    NotFound,
    MethodNotAllowed,
    Conflict,
    LeaseLost,
    PayloadTooLarge,
    UnsupportedMediaType,
    InvalidRequest,
    LimitExceeded,
    Internal,
    StoreUnavailable,
    StoreRefused,
    RequestTimeout,
    ShuttingDown,
    /// A status that a layer below answered without saying more.
    Plain(StatusCode),
}

/// A failed request.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    /// Sent as `Retry-After`, in whole seconds, at least 1.
    retry_after: Option<Duration>,
    /// Logged, never sent: it may name hosts, keys and commands.
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// One field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"field": "priorty", "message": "unknown field", "suggestion": "priority"}))]
pub(crate) struct FieldError {
    /// Where it stands: a path in the body (`tasks[1].kind`), or the name of a path or query parameter.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
    /// The nearest name or value that would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
}

/// An answer that is not a success (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(
    as = Problem,
    example = json!({
        "type": "/problems/invalid-request",
        "title": "The request is not acceptable",
        "status": 422,
        "detail": "1 field is not acceptable",
        "code": "invalid-request",
        "correlation_id": "0198c2d4-7c1e-7b6a-9a53-0d7f5a2f4c11",
        "errors": [{"field": "priorty", "message": "unknown field", "suggestion": "priority"}]
    })
)]
pub(crate) struct ProblemDocument {
    /// What kind of problem it is: a reference to its page on this service, or `about:blank`.
    #[serde(rename = "type")]
    type_uri: String,
    /// The kind in one line, always the same for it.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The kind for programs: the last part of `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The id under which this request stands in the log.
    correlation_id: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

// === impl ProblemKind ===

impl ProblemKind {
    /// Every kind that has a page.
    pub(crate) const ALL: [Self; 16] = [
        Self::MalformedJson,
        Self::CrossSiteRequest,
        Self::HostNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::LeaseLost,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidRequest,
        Self::LimitExceeded,
        Self::Internal,
        Self::StoreUnavailable,
        Self::StoreRefused,
        Self::RequestTimeout,
        Self::ShuttingDown,
    ];

    /// Slug, status, title, and what a caller can do: the one table of all kinds.
    const fn describe(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (
                "malformed-json",
                StatusCode::BAD_REQUEST,
                "The body is not JSON",
                "The body could not be read as JSON at the line and column that `detail` names.",
            ),
            Self::CrossSiteRequest => (
                "cross-site-request",
                StatusCode::FORBIDDEN,
                "Requests from other web sites are refused",
                "A browser sent this request on behalf of another site. Programs that are not browsers are not affected; \
                 a page that may call this service has to be served by it or be listed among the allowed origins.",
            ),
            Self::HostNotAllowed => (
                "host-not-allowed",
                StatusCode::FORBIDDEN,
                "The Host header does not name this service",
                "The service listens on the loopback interface and answers only to loopback names, so that no web site \
                 can reach it by pointing its own name at this machine. Use 127.0.0.1, localhost or [::1], or list the \
                 name among the allowed hosts.",
            ),
            Self::NotFound => (
                "not-found",
                StatusCode::NOT_FOUND,
                "Nothing is known under this address",
                "It never existed, or its retention is over. The addresses of this service are listed at /docs.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The address does not take this method",
                "The Allow header lists the methods it takes.",
            ),
            Self::Conflict => (
                "conflict",
                StatusCode::CONFLICT,
                "The present state does not allow it",
                "Read the state again and decide anew.",
            ),
            Self::LeaseLost => (
                "lease-lost",
                StatusCode::CONFLICT,
                "The lease on the task is lost",
                "The lease ended, or another worker holds the task. What was to be written was not written; stop working \
                 on the task and lease the next one.",
            ),
            Self::PayloadTooLarge => (
                "payload-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "Send less at once, or keep large data elsewhere and send its address.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not of a type that is understood here",
                "Send JSON with `Content-Type: application/json`.",
            ),
            Self::InvalidRequest => (
                "invalid-request",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request is not acceptable",
                "`errors` names each field, what is wrong with it and, for a misspelling, what was probably meant.",
            ),
            Self::LimitExceeded => (
                "limit-exceeded",
                StatusCode::TOO_MANY_REQUESTS,
                "A limit is reached",
                "Wait for the seconds that Retry-After names, then try again.",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "The service failed",
                "A defect or a failure on this machine. The log has the cause under the correlation id.",
            ),
            Self::StoreUnavailable => (
                "store-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store is away",
                "Nothing is promised while the store cannot be reached. Try again after Retry-After: every request of \
                 this service may be repeated. When `detail` says that the outcome is unknown, the request may have \
                 had its effect.",
            ),
            Self::StoreRefused => (
                "store-refused",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store refuses to work",
                "Its credentials, its access rules, its memory or its role do not allow the request. Somebody has to \
                 look at the store; the log has its words under the correlation id.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::SERVICE_UNAVAILABLE,
                "The request took too long",
                "It was given up. Whether it had its effect is unknown; it may be repeated.",
            ),
            Self::ShuttingDown => (
                "shutting-down",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is shutting down",
                "Try again after Retry-After, on the instance that takes over.",
            ),
            Self::Plain(status) => ("", status, "", ""),
        }
    }

    /// The stable name, such as `lease-lost`.
    pub(crate) const fn slug(self) -> &'static str {
        self.describe().0
    }

    /// The HTTP status.
    pub(crate) const fn status(self) -> StatusCode {
        self.describe().1
    }

    /// The kind in one line.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain(status) => status.canonical_reason().unwrap_or("Error"),
            _ => self.describe().2,
        }
    }

    /// What a caller can do about it.
    pub(crate) const fn advice(self) -> &'static str {
        self.describe().3
    }

    /// The kind that a bare status stands for.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            other => Self::Plain(other),
        }
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) const fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, errors: Vec::new(), retry_after: None, source: None }
    }

    /// Fields that are wrong.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => "1 field is not acceptable".to_owned(),
            many => format!("{many} fields are not acceptable"),
        };
        Self { errors, ..Self::new(ProblemKind::InvalidRequest).with_detail(detail) }
    }

    /// One field that is wrong.
    pub(crate) fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), message: message.into(), suggestion: None }])
    }

    /// Something that was named does not exist.
    pub(crate) fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        Self::new(ProblemKind::NotFound).with_detail(format!("{what} {name} is unknown"))
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The cause and the causes of the cause, for the log.
    pub(crate) fn cause_chain(&self) -> Option<String> {
        let mut error: &dyn std::error::Error = self.source.as_deref()?;
        let mut chain = error.to_string();
        while let Some(source) = error.source() {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            error = source;
        }
        Some(chain)
    }

    /// The document as it is sent.
    pub(crate) fn document(&self, correlation_id: &CorrelationId) -> ProblemDocument {
        let slug = self.kind.slug();
        ProblemDocument {
            type_uri: if slug.is_empty() { "about:blank".to_owned() } else { format!("/problems/{slug}") },
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            code: (!slug.is_empty()).then_some(slug),
            correlation_id: correlation_id.to_string(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}
