//! Problem documents (RFC 9457): the one shape of every answer that is not a success.
//!
//! A handler fails with a [`Problem`]. It travels in the response's extensions and is written by
//! [`middleware::problems`](crate::middleware::problems), which knows the correlation id and logs the cause once.

mod kind;

use std::{sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use trackside_core::CorrelationId;
use utoipa::ToSchema;

pub(crate) use kind::ProblemKind;

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A failed request.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    /// Tasks that were accepted all the same.
    tasks: Vec<AcceptedTask>,
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

/// A task that was accepted although the request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AcceptedTask {
    pub(crate) task_id: String,
    pub(crate) status: &'static str,
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
    /// Of a request with many tasks: those that were accepted before it failed, the first ones in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<AcceptedTask>,
}

// === impl Problem ===

impl Problem {
    pub(crate) const fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, errors: Vec::new(), tasks: Vec::new(), retry_after: None, source: None }
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

    /// The same problem about one of the items of an array: its fields are named with their place.
    pub(crate) fn of_item(mut self, index: usize) -> Self {
        for error in &mut self.errors {
            error.field = format!("[{index}].{}", error.field);
        }
        self
    }

    /// The same problem about what stands inside another field.
    pub(crate) fn inside(mut self, parent: &str) -> Self {
        for error in &mut self.errors {
            let dot = if error.field.starts_with('[') { "" } else { "." };
            error.field = format!("{parent}{dot}{}", error.field);
        }
        self
    }

    /// Names a field that is the reason.
    pub(crate) fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError { field: field.into(), message: message.into(), suggestion: None });
        self
    }

    /// The tasks that were accepted all the same.
    pub(crate) fn tasks(&self) -> &[AcceptedTask] {
        &self.tasks
    }

    /// Names tasks that were accepted all the same.
    pub(crate) fn with_tasks(mut self, tasks: Vec<AcceptedTask>) -> Self {
        self.tasks = tasks;
        self
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
            tasks: self.tasks.clone(),
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
        if self.kind == ProblemKind::NotLoggedIn {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
