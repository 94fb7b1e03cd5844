//! `Idempotency-Key`: refused where it would have to be kept, rather than ignored.

use axum::extract::FromRequestParts;
use http::{HeaderName, request::Parts};

use crate::problem::{Problem, ProblemKind};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request that adds something and carries no `Idempotency-Key`. A client that sends one relies on it: it would repeat
/// the request without fear, and have the work done twice.
#[derive(Debug)]
pub(crate) struct NoIdempotencyKey;

impl<S: Send + Sync> FromRequestParts<S> for NoIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        if parts.headers.contains_key(IDEMPOTENCY_KEY) {
            return Err(Problem::new(ProblemKind::IdempotencyKeyNotSupported)
                .with_detail("nothing was accepted; send the request without the header Idempotency-Key"));
        }
        Ok(Self)
    }
}
