//! Extractors: [`SessionHandle`] of any request, [`CurrentSession`] of one that is logged in.

use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::{SessionHandle, SessionRejection};
use crate::Session;

/// The session of a request that is logged in; 401 for one that is not, and 503 while the store is away. As an `Option`, a
/// request that is not logged in has none.
///
/// ```no_run
/// use trackside_session::CurrentSession;
/// async fn who(session: CurrentSession) -> String {
///     session.user_id.to_string()
/// }
/// # let _ = who;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentSession(pub Session);

// === impl CurrentSession ===

impl Deref for CurrentSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(handle(parts)?.current().await?))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for CurrentSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
        match handle(parts)?.current().await {
            Ok(session) => Ok(Some(Self(session))),
            Err(error) if error.is_logged_out() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

// === impl SessionHandle ===

impl<S: Sync> FromRequestParts<S> for SessionHandle {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        handle(parts)
    }
}

fn handle(parts: &Parts) -> Result<SessionHandle, SessionRejection> {
    parts.extensions.get::<SessionHandle>().cloned().ok_or(SessionRejection::NoLayer)
}
