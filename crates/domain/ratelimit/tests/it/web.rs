//! An axum application with limits, as its clients see it.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    routing::get,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trackside_ratelimit::{
    Algorithm, Dimension, Fields, Limit, Policy, Quota, RateLimitLayer, RateLimited, RateLimiter, Subject,
};

use crate::kit::{memory, name, only};

const MINUTE: Duration = Duration::from_secs(60);

/// Who says in a header who it is.
fn app(limiter: RateLimiter, fields: Fields) -> Router {
    let layer = RateLimitLayer::new(limiter, name("p"), |parts| {
        Subject::of(Dimension::User, parts.headers.get("x-user")?.to_str().ok()?).ok()
    });
    Router::new()
        .route("/", get(async |RateLimited(decision): RateLimited| format!("{}", decision.is_some())))
        .route("/moved", get(async || (StatusCode::FOUND, [("location", "/")])))
        .layer(layer.telling(fields))
        .route("/outside", get(async |_: RateLimited| ""))
}

async fn send(app: &Router, path: &str, user: Option<&str>) -> Response<Body> {
    let mut request = Request::builder().uri(path);
    if let Some(user) = user {
        request = request.header("x-user", user);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn header(response: &Response<Body>, name: &str) -> String {
    response.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn two(algorithm: Algorithm) -> Policy {
    Policy::of([Limit::new(Dimension::User, Quota { algorithm, ..Quota::new(2, MINUTE) })])
}

#[tokio::test]
async fn a_client_is_told_how_its_limits_stand_and_when_to_come_back() {
    let (limiter, clock) = memory(only(two(Algorithm::Exact)));
    let app = app(limiter, Fields::WithLegacy);
    let first = send(&app, "/", Some("alice")).await;
    let told = ["ratelimit-policy", "ratelimit", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    assert_eq!(told.map(|name| header(&first, name)), ["\"user\";q=2;w=60", "\"user\";r=1;t=60", "2", "1", "60"]);
    assert_eq!(text(first).await, "true");
    clock.advance(Duration::from_millis(14_500));
    assert_eq!(send(&app, "/", Some("alice")).await.status(), 200);

    let denied = send(&app, "/", Some("alice")).await;
    assert_eq!(denied.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!([header(&denied, "ratelimit"), header(&denied, "retry-after")], ["\"user\";r=0;t=46", "46"]);
    assert_eq!(header(&denied, "content-type"), "application/problem+json");
    let problem: Value = serde_json::from_str(&text(denied).await).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!((&problem["status"], &problem["violated-policies"]), (&json!(429), &json!(["user"])));
    assert_eq!(send(&app, "/", Some("bob")).await.status(), 200);
}

#[tokio::test]
async fn whoever_has_no_subject_passes_and_a_redirection_tells_nothing() {
    let (limiter, _) = memory(only(two(Algorithm::Smooth)));
    let app = app(limiter, Fields::Standard);
    for _ in 0..5 {
        let response = send(&app, "/", None).await;
        assert_eq!((response.status().as_u16(), header(&response, "ratelimit")), (200, String::new()));
        assert_eq!(text(response).await, "false");
    }
    let moved = send(&app, "/moved", Some("alice")).await;
    assert_eq!((moved.status().as_u16(), header(&moved, "ratelimit")), (302, String::new()));
    let counted = send(&app, "/", Some("alice")).await;
    assert!(header(&counted, "ratelimit").starts_with("\"user\";r=0;"), "it was counted all the same");
    assert_eq!(header(&counted, "x-ratelimit-limit"), "");
    assert_eq!(send(&app, "/outside", None).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
