//! Path and query parameters.

use axum::extract::{
    FromRequestParts, Path, Query, RawPathParams,
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
        let failure = match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => return Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failure)) => failure.into_kind(),
            Err(other) => return Err(Problem::new(ProblemKind::Internal).with_source(other)),
        };
        Err(match failure {
            ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                Problem::invalid_field(key, format!("not of type {expected_type}"))
            }
            ErrorKind::DeserializeError { key, message, .. } => Problem::invalid_field(key, message),
            ErrorKind::InvalidUtf8InPathParam { key } => Problem::invalid_field(key, "not UTF-8"),
            ErrorKind::Message(message) => Problem::invalid_field(only_parameter(parts, state).await, message),
            other => Problem::invalid_field(only_parameter(parts, state).await, other.to_string()),
        })
    }
}

/// The name of the parameter when there is only one: axum does not say which one it could not read.
async fn only_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> String {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok();
    let names: Vec<&str> = parameters.iter().flatten().map(|(name, _)| name).collect();
    if let [only] = names[..] { only.to_owned() } else { "path".to_owned() }
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
