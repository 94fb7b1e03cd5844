//! A panicking handler fails its own request and nothing else.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::problem::{Problem, ProblemKind};

/// The text of a panic, for the log.
#[derive(Debug, thiserror::Error)]
#[error("handler panicked: {0}")]
struct Panicked(String);

/// The answer for a handler that panicked; what it said is logged and not sent.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(crate) fn to_problem(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned());
    Problem::new(ProblemKind::Internal).with_source(Panicked(text)).into_response()
}
