//! `/v1/users/{user_id}/sessions`: where a user is logged in, and logging out elsewhere.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trackside_core::{Timestamp, UserId};
use trackside_session::{SessionHandle, SessionId, SessionInfo};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::sessions::DeviceFields;
use crate::{
    ApiState,
    extract::{StrictPath, StrictQuery},
    problem::Problem,
    wire::PageQuery,
};

/// A page of the sessions of a user, last used first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserSessions)]
struct UserSessions {
    user_id: String,
    sessions: Vec<ListedSession>,
    /// Ask with it for the next page; `null` on the last one. A session that is used meanwhile goes to the front.
    next_cursor: Option<String>,
}

/// A session as its user may read it in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "session_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11",
    "device": {"name": "laptop", "user_agent": null, "address": null}, "created_at": "2026-11-20T12:00:00.000Z",
    "last_seen_at": "2026-11-20T12:05:00.000Z", "expires_at": "2026-11-20T14:05:00.000Z",
    "absolute_expires_at": "2026-11-21T00:00:00.000Z"
}))]
struct ListedSession {
    session_id: String,
    device: DeviceFields,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// When it ends if it is not used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = String, format = DateTime)]
    absolute_expires_at: Timestamp,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EndQuery {
    /// The one session that stays: its id, or `current` for the one that the request comes with, such as that in which the
    /// password was changed.
    #[param(example = "current")]
    keep: Option<String>,
}

/// Where a page ends: the last use of its last session, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64, SessionId);

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, end_all)).routes(routes!(end))
}

/// Where a user is logged in
///
/// At most 256 sessions, those that were used last.
#[utoipa::path(
    get, path = "/v1/users/{user_id}/sessions", tag = "sessions", operation_id = "list_user_sessions",
    params(("user_id" = String, Path, description = "The user", example = "user-42"), PageQuery),
    responses((status = OK, body = UserSessions))
)]
async fn list(
    State(state): State<ApiState>,
    StrictPath(user): StrictPath<UserId>,
    StrictQuery(page): StrictQuery<PageQuery>,
) -> Result<Json<UserSessions>, Problem> {
    let after = page.cursor.as_deref().map(Place::parse).transpose()?;
    let mut sessions = state.sessions.sessions().list(&user).await?;
    sessions.sort_by_key(|session| std::cmp::Reverse(Place::of(session)));
    let mut rest = sessions.into_iter().filter(|session| after.is_none_or(|after| Place::of(session) < after));
    let shown: Vec<SessionInfo> = rest.by_ref().take(page.limit()).collect();
    let is_last = rest.next().is_none();
    let next_cursor = shown.last().filter(|_| !is_last).map(|session| Place::of(session).to_string());
    let sessions = shown.into_iter().map(Into::into).collect();
    Ok(Json(UserSessions { user_id: user.to_string(), sessions, next_cursor }))
}

/// Log a user out everywhere
///
/// In one step, however many sessions there are. May be repeated.
#[utoipa::path(
    delete, path = "/v1/users/{user_id}/sessions", tag = "sessions", operation_id = "delete_user_sessions",
    params(("user_id" = String, Path, description = "The user", example = "user-42"), EndQuery),
    responses((status = NO_CONTENT, description = "None of them lets anybody in any more, but the one that is kept"))
)]
async fn end_all(
    handle: SessionHandle,
    StrictPath(user): StrictPath<UserId>,
    StrictQuery(query): StrictQuery<EndQuery>,
) -> Result<StatusCode, Problem> {
    let kept = match query.keep.as_deref() {
        None => None,
        Some("current") => Some(of_user(&handle, &user).await?),
        Some(id) => Some(id.parse().map_err(|_| Problem::invalid_field("keep", "the id of a session, or `current`"))?),
    };
    match kept {
        Some(kept) => handle.sessions().destroy_others(&user, kept).await?,
        None => handle.sessions().destroy_all(&user).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// End one session of a user
///
/// Such as a device of the list that is lost. A session of another user is not found.
#[utoipa::path(
    delete, path = "/v1/users/{user_id}/sessions/{session_id}", tag = "sessions", operation_id = "delete_user_session",
    params(
        ("user_id" = String, Path, description = "The user", example = "user-42"),
        ("session_id" = String, Path, description = "Which session", example = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11")
    ),
    responses((status = NO_CONTENT, description = "It is over"), (status = NOT_FOUND, description = "There is none"))
)]
async fn end(
    State(state): State<ApiState>,
    StrictPath((user, id)): StrictPath<(UserId, SessionId)>,
) -> Result<StatusCode, Problem> {
    match state.sessions.sessions().destroy_by_id(&user, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("session", id)),
    }
}

/// The session that the request comes with, which must be one of the user's.
async fn of_user(handle: &SessionHandle, user: &UserId) -> Result<SessionId, Problem> {
    let session = handle.current().await?;
    if session.user_id != *user {
        return Err(Problem::invalid_field("keep", "the session of this request is another user's"));
    }
    Ok(session.id)
}

// === impl Place ===

impl Place {
    const fn of(session: &SessionInfo) -> Self {
        Self(session.last_seen_at.as_millis(), session.id)
    }

    pub(crate) fn parse(cursor: &str) -> Result<Self, Problem> {
        let parts = cursor.split_once('.').and_then(|(at, id)| Some(Self(at.parse().ok()?, id.parse().ok()?)));
        parts.ok_or_else(|| Problem::invalid_field("cursor", "not a `next_cursor` of this list"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

// === impl ListedSession ===

impl From<SessionInfo> for ListedSession {
    fn from(session: SessionInfo) -> Self {
        Self {
            session_id: session.id.to_string(),
            device: session.device.into(),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            absolute_expires_at: session.absolute_expires_at,
        }
    }
}
