//! An axum application with sessions, as a browser and as a program see it.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
    routing::{get, post},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trackside_core::ManualClock;
use trackside_session::{
    Config, CurrentSession, Error, NewSession, Rotation, SameSite, SessionHandle, SessionLayer, SessionManager,
    SessionRejection, WebConfig,
};

use crate::kit::{log_in, memory, object, user};

type Answered<T> = Result<T, SessionRejection>;

fn app(sessions: SessionManager) -> Router {
    let config = WebConfig { trusted_origins: vec!["https://app.example.org".to_owned()], ..WebConfig::default() };
    app_of(sessions, config)
}

fn app_of(sessions: SessionManager, config: WebConfig) -> Router {
    Router::new()
        .route(
            "/login",
            post(async |handle: SessionHandle| Answered::Ok(handle.log_in(new()).await?.1.user_id.to_string())),
        )
        .route("/logout", post(async |handle: SessionHandle| Answered::Ok(handle.log_out().await?.to_string())))
        .route("/logout/all", post(async |handle: SessionHandle| Answered::Ok(handle.log_out_everywhere().await?)))
        .route("/raise", post(async |handle: SessionHandle| raise(&handle, Rotation::PrivilegeChange).await))
        .route("/rotate", post(async |handle: SessionHandle| raise(&handle, Rotation::Routine).await))
        .route("/patch", post(patch))
        .route("/who", get(async |session: CurrentSession| session.user_id.to_string()))
        .route("/maybe", get(async |session: Option<CurrentSession>| session.is_some().to_string()))
        .route("/open", get(async || "open"))
        .layer(SessionLayer::new(sessions, config).unwrap())
        .route("/outside", get(async |_: CurrentSession| ""))
}

fn new() -> NewSession {
    NewSession::of(user("alice"))
}

async fn raise(handle: &SessionHandle, rotation: Rotation) -> Answered<String> {
    Ok(handle.rotate(rotation).await?.token.expose())
}

async fn patch(handle: SessionHandle, session: CurrentSession, Json(patch): Json<Value>) -> Answered<Json<Value>> {
    assert_eq!(session.version, handle.current().await?.version);
    Ok(Json(Value::Object(handle.patch(&object(patch)).await?.context)))
}

async fn send(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "example.org");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// What a browser keeps of a response: `name=value`.
fn kept(response: &Response<Body>) -> Option<String> {
    let cookie = response.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_browser_logs_in_is_let_in_and_logs_out() {
    let (sessions, _) = memory(Config::default());
    let app = app(sessions);
    assert_eq!(send(&app, "GET", "/who", &[]).await.status(), StatusCode::UNAUTHORIZED);
    let response = send(&app, "POST", "/login", &[("sec-fetch-site", "same-origin")]).await;
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let (value, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax");
    assert!(value.starts_with("__Host-session=trs1_"), "{value}");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let cookie = [("cookie", value)];
    let response = send(&app, "GET", "/who", &cookie).await;
    assert_eq!(kept(&response), None, "a cookie is changed by a use");
    assert_eq!(text(response).await, "alice");

    // A second log-in in the same browser ends the first session.
    let second = kept(&send(&app, "POST", "/login", &cookie).await).unwrap();
    assert_ne!(second, value);
    assert_eq!(send(&app, "GET", "/who", &cookie).await.status(), StatusCode::UNAUTHORIZED);
    let cookie = [("cookie", second.as_str())];
    let response = send(&app, "POST", "/logout", &cookie).await;
    assert_eq!(kept(&response).as_deref(), Some("__Host-session="));
    assert!(response.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(text(response).await, "true");
    assert_eq!(send(&app, "GET", "/who", &cookie).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(send(&app, "GET", "/maybe", &cookie).await).await, "false");
    assert_eq!(text(send(&app, "POST", "/logout", &cookie).await).await, "false");
}

#[tokio::test]
async fn the_cookie_has_the_name_and_the_strictness_that_it_is_given() {
    let (sessions, _) = memory(Config::default());
    let config =
        WebConfig { cookie_name: "__Host-desk".to_owned(), same_site: SameSite::Strict, ..WebConfig::default() };
    let app = app_of(sessions, config);
    let response = send(&app, "POST", "/login", &[]).await;
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-desk=trs1_") && set.ends_with("; Secure; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = kept(&response).unwrap();
    assert_eq!(text(send(&app, "GET", "/who", &[("cookie", &cookie)]).await).await, "alice");
    let removed = send(&app, "POST", "/logout", &[("cookie", &cookie)]).await;
    assert_eq!(kept(&removed).as_deref(), Some("__Host-desk="));
}

#[tokio::test]
async fn a_program_comes_with_a_bearer_token_and_gets_no_cookie() {
    let (sessions, _) = memory(Config::default());
    let (token, _) = log_in(&sessions, "bob").await;
    let app = app(sessions);
    let bearer = format!("Bearer {}", token.expose());
    let headers = [("authorization", bearer.as_str()), ("origin", "https://elsewhere.example")];
    assert_eq!(text(send(&app, "GET", "/who", &headers).await).await, "bob");
    let response = send(&app, "POST", "/raise", &headers).await;
    assert!(response.status().is_success() && kept(&response).is_none());
    let next = format!("Bearer {}", text(response).await);
    assert_eq!(send(&app, "GET", "/who", &headers).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(send(&app, "GET", "/maybe", &[("authorization", &next)]).await).await, "true");
    assert_eq!(send(&app, "POST", "/logout/all", &[("authorization", &next)]).await.status(), StatusCode::OK);
    let response = send(&app, "GET", "/who", &[("authorization", &next)]).await;
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    let problem: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem, json!({"title": "Unauthorized", "status": 401, "detail": "no such session"}));
}

#[tokio::test]
async fn what_other_sites_forge_is_refused_before_any_handler_and_log_ins_are_too() {
    let (sessions, _) = memory(Config::default());
    let (token, _) = log_in(&sessions, "alice").await;
    let app = app(sessions.clone());
    let cookie = format!("__Host-session={}", token.expose());
    let from = |site, origin| [("cookie", cookie.as_str()), ("sec-fetch-site", site), ("origin", origin)];
    for path in ["/logout", "/raise", "/login", "/logout/all"] {
        let response = send(&app, "POST", path, &from("cross-site", "https://evil.example")).await;
        assert_eq!((response.status(), kept(&response)), (StatusCode::FORBIDDEN, None), "{path}");
        assert_eq!(send(&app, "POST", path, &[("origin", "null")]).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(sessions.list(&user("alice")).await.unwrap().len(), 1);
    assert_eq!(send(&app, "GET", "/who", &from("cross-site", "https://evil.example")).await.status(), StatusCode::OK);
    let trusted = send(&app, "POST", "/rotate", &from("cross-site", "https://app.example.org")).await;
    assert_eq!(trusted.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_late_request_does_not_take_the_new_cookie_away() {
    let (sessions, _): (SessionManager, ManualClock) = memory(Config::default());
    let (token, _) = log_in(&sessions, "alice").await;
    let app = app(sessions.clone());
    let old = format!("__Host-session={}", token.expose());
    let new = kept(&send(&app, "POST", "/raise", &[("cookie", &old)]).await).unwrap();
    let late = send(&app, "GET", "/who", &[("cookie", &old)]).await;
    assert_eq!((late.status(), kept(&late)), (StatusCode::UNAUTHORIZED, None));
    assert_eq!(text(send(&app, "GET", "/who", &[("cookie", &new)]).await).await, "alice");
}

#[tokio::test]
async fn a_context_is_patched_by_handlers_and_a_wrong_patch_is_422() {
    let (sessions, clock) = memory(Config { max_context_bytes: 40, ..Config::default() });
    let (token, _) = log_in(&sessions, "alice").await;
    let app = app(sessions.clone());
    let patch = async |body: Value| {
        let request = Request::post("/patch")
            .header("cookie", format!("__Host-session={}", token.expose()))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        app.clone().oneshot(request.unwrap()).await.unwrap()
    };
    assert_eq!(text(patch(json!({"a": 1, "b": 2})).await).await, r#"{"a":1,"b":2}"#);
    assert_eq!(text(patch(json!({"a": null})).await).await, r#"{"b":2}"#);
    assert_eq!(patch(json!({"c": "x".repeat(40)})).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    clock.advance(Duration::from_secs(7_200));
    assert_eq!(patch(json!({})).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_extractor_without_the_layer_is_a_server_error_and_wrong_settings_are_refused() {
    let (sessions, _) = memory(Config::default());
    assert_eq!(send(&app(sessions.clone()), "GET", "/outside", &[]).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(send(&app(sessions.clone()), "GET", "/open", &[]).await).await, "open");
    for name in ["session", "__Host-", "__Host-a b", "__Host-a;"] {
        let config = WebConfig { cookie_name: name.to_owned(), ..WebConfig::default() };
        let error = SessionLayer::new(sessions.clone(), config).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { field: "cookie_name", .. }), "{name}");
    }
    for origin in ["example.org", "https://example.org/", "*"] {
        let config = WebConfig { trusted_origins: vec![origin.to_owned()], ..WebConfig::default() };
        assert!(SessionLayer::new(sessions.clone(), config).is_err(), "{origin}");
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn while_the_server_is_away_the_answer_is_503_and_the_cookie_stays() {
    use trackside_testkit::{FaultProxy, RedisServer};

    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let sessions = crate::kit::redis(&format!("redis://127.0.0.1:{}", proxy.port()), "", Config::default()).await;
    let (token, _) = log_in(&sessions, "alice").await;
    let app = app(sessions);
    let cookie = format!("__Host-session={}", token.expose());
    proxy.cut();
    for (method, path) in
        [("GET", "/who"), ("GET", "/maybe"), ("POST", "/logout"), ("POST", "/login"), ("POST", "/raise")]
    {
        let response = send(&app, method, path, &[("cookie", &cookie)]).await;
        assert_eq!((response.status(), kept(&response)), (StatusCode::SERVICE_UNAVAILABLE, None), "{path}");
        assert!(response.headers().contains_key(header::RETRY_AFTER), "{path}");
    }
    assert_eq!(send(&app, "GET", "/open", &[("cookie", &cookie)]).await.status(), StatusCode::OK);
}
