//! `/v1/sessions`: log-ins, and the session that a request comes with, by bearer token or by cookie.

use std::fmt;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use trackside_core::{Timestamp, UserId};
use trackside_session::{Device, NewSession, Rotation, Session, SessionHandle, SessionToken};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::{OptionalJson, StrictJson},
    problem::{Problem, ProblemKind},
};

const CURRENT: &str = "/v1/sessions/current";

/// Who has logged in, and what is remembered of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSession, example = json!({
    "user_id": "user-42", "context": {"project_id": "7", "theme": "dark"}, "device": {"name": "laptop"}, "cookie": false
}))]
struct LogIn {
    /// Who has just proved who it is: whoever calls this has checked that.
    #[schema(value_type = String)]
    user_id: UserId,
    /// What is remembered between requests: any JSON object.
    #[schema(value_type = Option<Value>)]
    context: Option<Map<String, Value>>,
    /// Where from, for the user's list of sessions.
    device: Option<DeviceBody>,
    /// Whether the answer sets a cookie, for a browser. The session that the same request came with, if any, is ended.
    cookie: Option<bool>,
}

/// What a device is called, or more of it.
#[derive(ToSchema)]
#[serde(untagged)]
enum DeviceBody {
    Name(String),
    Device(DeviceFields),
}

/// A device as its user may read it: 512 bytes each at most.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Device)]
pub(super) struct DeviceFields {
    /// What the user calls it.
    name: Option<String>,
    /// The client's program.
    user_agent: Option<String>,
    /// The client's network address at log-in.
    address: Option<String>,
}

/// A token, which is told this once: only a hash of it is stored.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionIssued, example = json!({
    "token": "trs1_S2Fuc2FzIENpdHkgU2h1ZmZsZS4uLg", "session_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11",
    "expires_at": "2026-11-20T14:00:00.000Z", "absolute_expires_at": "2026-11-21T00:00:00.000Z"
}))]
struct Issued {
    token: String,
    /// The public name of the session; not a secret.
    session_id: String,
    /// When it ends if it is not used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = String, format = DateTime)]
    absolute_expires_at: Timestamp,
}

/// The session that a request came with.
#[derive(Serialize, ToSchema)]
#[schema(as = Session, example = json!({
    "session_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "user_id": "user-42",
    "context": {"project_id": "7", "theme": "dark"},
    "device": {"name": "laptop", "user_agent": null, "address": null}, "created_at": "2026-11-20T12:00:00.000Z",
    "last_seen_at": "2026-11-20T12:05:00.000Z", "expires_at": "2026-11-20T14:05:00.000Z",
    "absolute_expires_at": "2026-11-21T00:00:00.000Z", "superseded": false
}))]
struct SessionView {
    session_id: String,
    user_id: String,
    #[schema(value_type = Value)]
    context: Map<String, Value>,
    device: DeviceFields,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last used, to a minute unless it is configured otherwise.
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// When it ends if it is not used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = String, format = DateTime)]
    absolute_expires_at: Timestamp,
    /// The token was replaced by a rotation, and is let in for its grace period only: take the new one.
    superseded: bool,
}

/// What changes in the context.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionPatch, example = json!({"context": {"theme": "light", "draft": null}}))]
struct Change {
    /// Members to set; `null` removes one, and objects are merged (RFC 7396).
    #[schema(value_type = Value)]
    context: Map<String, Value>,
}

/// Why a token is replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionRotation, example = json!({"reason": "privilege_change"}))]
struct Turn {
    /// `routine` when left out.
    reason: Option<Reason>,
}

/// `routine`: because of its age. The old token is let in for a grace period, so that requests under way are served, and
/// the request may be repeated until the new token is used. `privilege_change`: because the session may do more from now on,
/// or less. The old token is worth nothing at once.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RotationReason)]
enum Reason {
    Routine,
    PrivilegeChange,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(current, change, log_out)).routes(routes!(rotate))
}

/// Create a session
///
/// For a user who has just proved who it is. The token is answered this once; send it as `Authorization: Bearer …`, or have
/// it set as a cookie. Nothing that the request brings becomes part of the new session's secret.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", operation_id = "create_session", request_body = LogIn,
    responses((status = CREATED, body = Issued, headers(
        ("Set-Cookie" = Option<String>, description = "With `cookie`: the token, for this host alone, `Secure` and `HttpOnly`"),
        ("Location" = String, description = "The session, for whoever comes with the token")
    )))
)]
async fn create(handle: SessionHandle, StrictJson(request): StrictJson<LogIn>) -> Result<Response, Problem> {
    let wants_cookie = request.cookie == Some(true);
    let (token, session) = match wants_cookie {
        true => handle.log_in(request.into()).await?,
        false => handle.sessions().create(request.into()).await?,
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, CURRENT)], Json(Issued::of(&token, &session))).into_response())
}

/// The session of this request
///
/// Checks the token, and extends the session: it ends when it was not used for its idle time, and in any case at its
/// absolute end.
#[utoipa::path(
    get, path = "/v1/sessions/current", tag = "sessions", operation_id = "get_current_session",
    security(("session_token" = []), ("session_cookie" = [])),
    responses((status = OK, body = SessionView), (status = UNAUTHORIZED, description = "Not logged in"))
)]
async fn current(handle: SessionHandle) -> Result<Json<SessionView>, Problem> {
    Ok(Json(handle.current().await?.into()))
}

/// Change what a session remembers
///
/// Changes of several requests at the same time are all in it afterwards.
#[utoipa::path(
    patch, path = "/v1/sessions/current", tag = "sessions", operation_id = "patch_current_session",
    security(("session_token" = []), ("session_cookie" = [])), request_body = Change,
    responses((status = OK, body = SessionView), (status = UNAUTHORIZED, description = "Not logged in"))
)]
async fn change(handle: SessionHandle, StrictJson(change): StrictJson<Change>) -> Result<Json<SessionView>, Problem> {
    Ok(Json(handle.patch(&change.context).await?.into()))
}

/// Log out
///
/// Ends the session and removes the cookie. 401 when the token is of no session: then nothing was ended.
#[utoipa::path(
    delete, path = "/v1/sessions/current", tag = "sessions", operation_id = "delete_current_session",
    security(("session_token" = []), ("session_cookie" = [])),
    responses(
        (status = NO_CONTENT, description = "Logged out"), (status = UNAUTHORIZED, description = "Not logged in")
    )
)]
async fn log_out(handle: SessionHandle) -> Result<StatusCode, Problem> {
    match handle.log_out().await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(trackside_session::Error::NoSession.into()),
    }
}

/// Replace the token of a session
///
/// The session stays the same. A token that is used after its grace period raises an alarm and destroys the session: two
/// parties have it.
#[utoipa::path(
    post, path = "/v1/sessions/current/rotate", tag = "sessions", operation_id = "rotate_current_session",
    security(("session_token" = []), ("session_cookie" = [])), request_body = Option<Turn>,
    responses(
        (status = OK, body = Issued, headers(
            ("Set-Cookie" = Option<String>, description = "The new token, when the old one came in a cookie")
        )),
        (status = UNAUTHORIZED, description = "Not logged in"),
        (status = CONFLICT, description = "It was replaced already, and its successor is in use")
    )
)]
async fn rotate(handle: SessionHandle, OptionalJson(turn): OptionalJson<Turn>) -> Result<Json<Issued>, Problem> {
    let rotated = handle.rotate(turn.reason.unwrap_or(Reason::Routine).into()).await?;
    Ok(Json(Issued::of(&rotated.token, &rotated.session)))
}

// === impl LogIn, DeviceBody, DeviceFields, Reason ===

impl From<LogIn> for NewSession {
    fn from(request: LogIn) -> Self {
        let device = match request.device {
            None => DeviceFields::default(),
            Some(DeviceBody::Name(name)) => DeviceFields { name: Some(name), ..DeviceFields::default() },
            Some(DeviceBody::Device(device)) => device,
        };
        Self { user_id: request.user_id, context: request.context.unwrap_or_default(), device: device.into() }
    }
}

/// By hand, so that a wrong field is named as such.
impl<'de> Deserialize<'de> for DeviceBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrDevice;

        impl<'de> Visitor<'de> for NameOrDevice {
            type Value = DeviceBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(DeviceBody::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                DeviceFields::deserialize(MapAccessDeserializer::new(map)).map(DeviceBody::Device)
            }
        }

        deserializer.deserialize_any(NameOrDevice)
    }
}

impl From<DeviceFields> for Device {
    fn from(DeviceFields { name, user_agent, address }: DeviceFields) -> Self {
        Self { name, user_agent, address }
    }
}

impl From<Device> for DeviceFields {
    fn from(Device { name, user_agent, address }: Device) -> Self {
        Self { name, user_agent, address }
    }
}

impl From<Reason> for Rotation {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Routine => Self::Routine,
            Reason::PrivilegeChange => Self::PrivilegeChange,
        }
    }
}

// === impl Issued, SessionView ===

impl Issued {
    fn of(token: &SessionToken, session: &Session) -> Self {
        Self {
            token: token.expose(),
            session_id: session.id.to_string(),
            expires_at: session.expires_at,
            absolute_expires_at: session.absolute_expires_at,
        }
    }
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            context: session.context,
            device: session.device.into(),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            absolute_expires_at: session.absolute_expires_at,
            superseded: session.is_superseded,
        }
    }
}

impl From<trackside_session::Error> for Problem {
    fn from(error: trackside_session::Error) -> Self {
        use trackside_session::Error;
        match error {
            Error::NoSession | Error::Reused => Self::new(ProblemKind::NotLoggedIn).with_detail(error.to_string()),
            Error::TooManySessions { .. } => Self::new(ProblemKind::TooManySessions).with_detail(error.to_string()),
            Error::InvalidInput { field, reason } => Self::invalid_field(field, reason),
            Error::InvalidName(error) => error.into(),
            _ => crate::error::by_kind(error.kind(), error),
        }
    }
}
