//! Path and query parameters.

use axum::extract::{
    FromRequestParts, Path, Query,
    path::ErrorKind,
    rejection::{PathRejection, QueryRejection},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::diagnosis;
use crate::problem::{Problem, ProblemKind};

/// Path parameters; a malformed name is refused with its rule.
#[derive(Debug)]
pub(crate) struct StrictPath<T>(pub(crate) T);

/// Query parameters; an unknown one is refused with a suggestion.
#[derive(Debug)]
pub(crate) struct StrictQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for StrictPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failure)) => Err(match failure.into_kind() {
                ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                    Problem::invalid_field(key, format!("not of type {expected_type}"))
                }
                ErrorKind::DeserializeError { key, message, .. } => Problem::invalid_field(key, message),
                ErrorKind::InvalidUtf8InPathParam { key } => Problem::invalid_field(key, "not UTF-8"),
                ErrorKind::Message(message) => Problem::invalid_field("path", message),
                other => Problem::invalid_field("path", other.to_string()),
            }),
            Err(other) => Err(Problem::new(ProblemKind::Internal).with_source(other)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(failure)) => {
                let text = std::error::Error::source(&failure).map_or_else(|| failure.body_text(), ToString::to_string);
                Err(diagnosis::of_parameter(&text))
            }
            Err(other) => Err(Problem::new(ProblemKind::Internal).with_source(other)),
        }
    }
}
