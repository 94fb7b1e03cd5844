//! `/login`, `/logout`: a browser keeps its key as a cookie, since it cannot put headers on an event stream or a WebSocket.
//!
//! The cookie ends with the browser, is out of reach for scripts (`HttpOnly`) and is sent by pages of this service only
//! (`SameSite=Strict`); what other sites make a browser send is refused by `middleware/browser.rs` besides. A key never
//! stands in an address, which histories and logs of proxies keep. See docs/adr/0007-keys-of-programs-and-browsers.md.

use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use trackside_core::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Access, ApiState,
    access::COOKIE,
    problem::{Problem, ProblemKind},
};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The form of the page.
#[derive(Deserialize, ToSchema)]
#[schema(as = Login)]
struct Login {
    /// An API key.
    key: String,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(logout))
}

/// Let a browser in
///
/// Keeps the API key of the form as a cookie of the browser's session.
#[utoipa::path(
    post, path = "/login", tag = "service", operation_id = "login",
    request_body(content = Login, content_type = "application/x-www-form-urlencoded"),
    responses((status = SEE_OTHER, description = "Let in; the page is at `/`", headers(
        ("Set-Cookie" = String, description = "The key"), ("Location" = String, description = "`/`")
    )))
)]
async fn login(
    State(state): State<ApiState>,
    headers: HeaderMap,
    form: Result<Form<Login>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Problem> {
    let Form(Login { key }) = form.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::UNPROCESSABLE_ENTITY => Problem::invalid_field("key", "an API key"),
        other => Problem::new(ProblemKind::of_status(other)),
    })?;
    let Access::Keys(keys) = &state.access else {
        return Err(Problem::new(ProblemKind::Conflict).with_detail("the service asks for no keys"));
    };
    let key = key.trim();
    if keys.borrow().find(key, Timestamp::now()).is_err() {
        return Err(Problem::new(ProblemKind::Unauthorized).with_detail("there is no such API key, or not any more"));
    }
    to_the_page(&format!("{COOKIE}={key}; Path=/; HttpOnly; SameSite=Strict{}", secure(&headers, &state)))
}

/// Forget a browser's key
#[utoipa::path(
    post, path = "/logout", tag = "service", operation_id = "logout",
    responses((status = SEE_OTHER, description = "Forgotten", headers(
        ("Set-Cookie" = String, description = "Removes the key"), ("Location" = String, description = "`/`")
    )))
)]
async fn logout(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    to_the_page(&format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{}", secure(&headers, &state)))
}

/// Over TLS, the cookie never leaves it. A client that invents the header only makes its own cookie stricter.
fn secure(headers: &HeaderMap, state: &ApiState) -> &'static str {
    let forwarded = headers.get(FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    if forwarded || state.config.tls { "; Secure" } else { "" }
}

fn to_the_page(cookie: &str) -> Result<Response, Problem> {
    let cookie = HeaderValue::from_str(cookie).map_err(|_| Problem::new(ProblemKind::Internal))?;
    let location = HeaderValue::from_static("/");
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}
