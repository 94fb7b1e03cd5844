//! Sessions over HTTP: log-ins by bearer token and by cookie, contexts, rotation, lists and log-outs.

use std::{sync::Arc, time::Duration};

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use trackside_core::ManualClock;
use trackside_session::{Config, MemorySessionStore, WhenFull};

use crate::service::{Service, body, problem, sessions_over, setup};

/// A service whose sessions live by this clock.
async fn clocked(config: Config) -> (Service, ManualClock) {
    let clock = ManualClock::default();
    let mut setup = setup().await;
    setup.state.sessions = sessions_over(Arc::new(MemorySessionStore::new(Arc::new(clock.clone()))), config);
    (Service::with(setup).await, clock)
}

pub(crate) async fn log_in(service: &Service, user: &str) -> String {
    let answer = service.post("/v1/sessions").json(&json!({"user_id": user})).send().await.unwrap();
    body(answer, 201).await["token"].as_str().unwrap().to_owned()
}

pub(crate) async fn with_token(service: &Service, method: &str, path: &str, token: &str) -> Response {
    service.request(method, path).bearer_auth(token).send().await.unwrap()
}

/// What the answer tells a browser to keep: name and value, and the attributes.
pub(crate) fn set_cookie(response: &Response) -> Option<(String, String)> {
    let cookie = response.headers().get("set-cookie")?.to_str().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    Some((pair.to_owned(), attributes.to_owned()))
}

#[tokio::test]
async fn a_program_logs_in_is_let_in_changes_its_context_and_logs_out() {
    let service = Service::start().await;
    let new = json!({
        "user_id": "ada", "context": {"project": "7", "draft": {"title": "a", "page": 1}}, "device": {"name": "laptop"}
    });
    let answer = service.post("/v1/sessions").json(&new).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["location"], "/v1/sessions/current");
    assert_eq!(set_cookie(&answer), None);
    let issued = body(answer, 201).await;
    let token = issued["token"].as_str().unwrap();
    assert!(token.starts_with("trs1_"), "{issued}");
    assert!(issued["expires_at"].as_str() < issued["absolute_expires_at"].as_str(), "{issued}");

    let answer = with_token(&service, "GET", "/v1/sessions/current", token).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let session = body(answer, 200).await;
    assert_eq!((&session["user_id"], &session["context"]), (&json!("ada"), &new["context"]));
    assert_eq!(session["device"], json!({"name": "laptop", "user_agent": null, "address": null}));
    assert_eq!((&session["session_id"], &session["superseded"]), (&issued["session_id"], &json!(false)));
    assert!(session["token"].is_null(), "a token is told once");

    let patch = json!({"context": {"project": null, "draft": {"page": 2}, "theme": "dark"}});
    let patched = service.request("PATCH", "/v1/sessions/current").bearer_auth(token).json(&patch);
    let patched = body(patched.send().await.unwrap(), 200).await;
    assert_eq!(patched["context"], json!({"draft": {"title": "a", "page": 2}, "theme": "dark"}));

    assert_eq!(with_token(&service, "DELETE", "/v1/sessions/current", token).await.status(), StatusCode::NO_CONTENT);
    for method in ["GET", "DELETE"] {
        let refused = with_token(&service, method, "/v1/sessions/current", token).await;
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        problem(refused, 401, "not-logged-in").await;
    }
}

#[tokio::test]
async fn a_browser_logs_in_is_let_in_rotates_and_logs_out() {
    let service = Service::start().await;
    let request = json!({"user_id": "ada", "cookie": true});
    let answer = service.post("/v1/sessions").header("sec-fetch-site", "same-origin").json(&request).send();
    let answer = answer.await.unwrap();
    let (cookie, attributes) = set_cookie(&answer).unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax");
    let issued = body(answer, 201).await;
    assert_eq!(cookie, format!("__Host-session={}", issued["token"].as_str().unwrap()));

    let with = |method: &'static str, path: &'static str, cookie: String| {
        service.request(method, path).header("cookie", cookie).header("sec-fetch-site", "same-origin").send()
    };
    let answer = with("GET", "/v1/sessions/current", cookie.clone()).await.unwrap();
    assert_eq!(set_cookie(&answer), None, "a cookie is changed by log-in, rotation and log-out alone");
    assert_eq!(body(answer, 200).await["session_id"], issued["session_id"]);

    let answer = with("POST", "/v1/sessions/current/rotate", cookie.clone()).await.unwrap();
    let (rotated, _) = set_cookie(&answer).unwrap();
    assert_ne!(rotated, cookie);
    let turned = body(answer, 200).await;
    assert_eq!(rotated, format!("__Host-session={}", turned["token"].as_str().unwrap()));
    assert_eq!(turned["session_id"], issued["session_id"], "a new token, the same session");

    let answer = with("DELETE", "/v1/sessions/current", rotated.clone()).await.unwrap();
    let (removed, attributes) = set_cookie(&answer).unwrap();
    assert_eq!((answer.status(), removed.as_str()), (StatusCode::NO_CONTENT, "__Host-session="));
    assert!(attributes.contains("Max-Age=0"), "{attributes}");
    for cookie in [cookie, rotated] {
        problem(with("GET", "/v1/sessions/current", cookie).await.unwrap(), 401, "not-logged-in").await;
    }
}

#[tokio::test]
async fn a_session_ends_without_use_and_at_its_absolute_end_however_much_it_is_used() {
    let (service, clock) = clocked(Config::default()).await;
    let (idle, used) = (log_in(&service, "ada").await, log_in(&service, "ada").await);
    clock.advance(Duration::from_secs(7_000));
    let session = body(with_token(&service, "GET", "/v1/sessions/current", &used).await, 200).await;
    assert!(session["last_seen_at"].as_str() > session["created_at"].as_str(), "{session}");
    clock.advance(Duration::from_secs(300));
    problem(with_token(&service, "GET", "/v1/sessions/current", &idle).await, 401, "not-logged-in").await;
    for _ in 0..5 {
        body(with_token(&service, "GET", "/v1/sessions/current", &used).await, 200).await;
        clock.advance(Duration::from_secs(7_000));
    }
    clock.advance(Duration::from_secs(1_000));
    problem(with_token(&service, "GET", "/v1/sessions/current", &used).await, 401, "not-logged-in").await;
}

#[tokio::test]
async fn a_list_names_devices_page_by_page_and_one_of_them_is_logged_out() {
    let (service, clock) = clocked(Config::default()).await;
    let mut tokens = Vec::new();
    for device in
        [json!("phone"), json!({"name": "laptop", "user_agent": "Firefox/140", "address": "192.0.2.7"}), Value::Null]
    {
        let request = json!({"user_id": "ada", "device": device});
        let issued = body(service.post("/v1/sessions").json(&request).send().await.unwrap(), 201).await;
        tokens.push(issued["token"].as_str().unwrap().to_owned());
        clock.advance(Duration::from_secs(100));
    }
    log_in(&service, "bob").await;
    body(with_token(&service, "GET", "/v1/sessions/current", &tokens[0]).await, 200).await;
    let list = service.read("/v1/users/ada/sessions").await;
    let names: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|it| it["device"]["name"].clone()).collect();
    assert_eq!(names, [json!("phone"), Value::Null, json!("laptop")], "last used first");
    assert_eq!(list["sessions"][2]["device"]["address"], "192.0.2.7");
    assert!(!list.to_string().contains("trs1_") && list["next_cursor"].is_null(), "{list}");

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.read(&format!("/v1/users/ada/sessions?limit=1{cursor}")).await;
        paged.extend(page["sessions"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::Array(paged), list["sessions"]);
    let refused = service.get("/v1/users/ada/sessions?cursor=x").send().await.unwrap();
    assert_eq!(problem(refused, 422, "invalid-request").await["errors"][0]["field"], "cursor");

    let laptop = list["sessions"][2]["session_id"].as_str().unwrap();
    let other = service.request("DELETE", &format!("/v1/users/bob/sessions/{laptop}")).send().await.unwrap();
    problem(other, 404, "not-found").await;
    let path = format!("/v1/users/ada/sessions/{laptop}");
    assert_eq!(service.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    problem(service.request("DELETE", &path).send().await.unwrap(), 404, "not-found").await;
    problem(with_token(&service, "GET", "/v1/sessions/current", &tokens[1]).await, 401, "not-logged-in").await;
    body(with_token(&service, "GET", "/v1/sessions/current", &tokens[2]).await, 200).await;
}

#[tokio::test]
async fn a_user_is_logged_out_everywhere_or_everywhere_else() {
    let service = Service::start().await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(log_in(&service, "ada").await);
    }
    let bob = log_in(&service, "bob").await;
    let status = async |token: &str| with_token(&service, "GET", "/v1/sessions/current", token).await.status();
    let others = with_token(&service, "DELETE", "/v1/users/ada/sessions?keep=current", &tokens[1]).await;
    assert_eq!(others.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        (status(&tokens[0]).await, status(&tokens[1]).await, status(&tokens[2]).await),
        (StatusCode::UNAUTHORIZED, StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    let refused = with_token(&service, "DELETE", "/v1/users/ada/sessions?keep=current", &bob).await;
    assert_eq!(problem(refused, 422, "invalid-request").await["errors"][0]["field"], "keep");
    let refused = service.request("DELETE", "/v1/users/ada/sessions?keep=current").send().await.unwrap();
    problem(refused, 401, "not-logged-in").await;
    let refused = service.request("DELETE", "/v1/users/ada/sessions?keep=that").send().await.unwrap();
    problem(refused, 422, "invalid-request").await;
    assert_eq!(status(&tokens[1]).await, StatusCode::OK, "a refused request ends nothing");

    let kept = log_in(&service, "ada").await;
    let id = body(with_token(&service, "GET", "/v1/sessions/current", &kept).await, 200).await["session_id"].clone();
    let path = format!("/v1/users/ada/sessions?keep={}", id.as_str().unwrap());
    assert_eq!(service.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!((status(&kept).await, status(&tokens[1]).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    for _ in 0..2 {
        let all = service.request("DELETE", "/v1/users/ada/sessions").send().await.unwrap();
        assert_eq!(all.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!((status(&kept).await, status(&bob).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    assert_eq!(service.read("/v1/users/ada/sessions").await["sessions"], json!([]));
}

#[tokio::test]
async fn a_user_has_no_more_sessions_than_allowed() {
    let two = Config { max_per_user: 2.try_into().ok(), ..Config::default() };
    let (service, _) = clocked(two.clone()).await;
    let oldest = log_in(&service, "ada").await;
    for _ in 0..2 {
        log_in(&service, "ada").await;
    }
    problem(with_token(&service, "GET", "/v1/sessions/current", &oldest).await, 401, "not-logged-in").await;
    assert_eq!(service.read("/v1/users/ada/sessions").await["sessions"].as_array().unwrap().len(), 2);

    let (service, _) = clocked(Config { when_full: WhenFull::Refuse, ..two }).await;
    for _ in 0..2 {
        log_in(&service, "ada").await;
    }
    let refused = service.post("/v1/sessions").json(&json!({"user_id": "ada"})).send().await.unwrap();
    problem(refused, 429, "too-many-sessions").await;
}

#[tokio::test]
async fn a_replaced_token_is_let_in_for_its_grace_and_after_a_change_of_privileges_not_at_all() {
    let (service, clock) = clocked(Config::default()).await;
    let rotate = async |token: &str, request: Value| {
        let answer = service.post("/v1/sessions/current/rotate").bearer_auth(token).json(&request).send();
        body(answer.await.unwrap(), 200).await["token"].as_str().unwrap().to_owned()
    };
    let first = log_in(&service, "ada").await;
    let second = rotate(&first, json!({})).await;
    let session = body(with_token(&service, "GET", "/v1/sessions/current", &first).await, 200).await;
    assert_eq!(session["superseded"], true);
    body(with_token(&service, "GET", "/v1/sessions/current", &second).await, 200).await;
    let again = with_token(&service, "POST", "/v1/sessions/current/rotate", &first).await;
    problem(again, 409, "conflict").await;

    let third = rotate(&second, json!({"reason": "privilege_change"})).await;
    problem(with_token(&service, "GET", "/v1/sessions/current", &second).await, 401, "not-logged-in").await;
    body(with_token(&service, "GET", "/v1/sessions/current", &third).await, 200).await;

    let fourth = rotate(&third, json!({"reason": "routine"})).await;
    clock.advance(Duration::from_secs(60));
    let alarm = with_token(&service, "GET", "/v1/sessions/current", &third).await;
    let alarm = problem(alarm, 401, "not-logged-in").await;
    assert!(alarm["detail"].as_str().unwrap().contains("revoked"), "{alarm}");
    problem(with_token(&service, "GET", "/v1/sessions/current", &fourth).await, 401, "not-logged-in").await;
    assert_eq!(service.read("/api/stats").await["sessions"]["reused"], 1);
}

#[tokio::test]
async fn wrong_requests_are_refused_field_by_field_and_make_no_session() {
    let (service, _) = clocked(Config { max_context_bytes: 64, ..Config::default() }).await;
    for (request, field) in [
        (json!({}), "user_id"),
        (json!({"user_id": "two words"}), "user_id"),
        (json!({"user_id": "ada", "context": [1]}), "context"),
        (json!({"user_id": "ada", "context": {"a": "x".repeat(64)}}), "context"),
        (json!({"user_id": "ada", "device": 7}), "device"),
        (json!({"user_id": "ada", "device": {"nam": "phone"}}), "device.nam"),
        (json!({"user_id": "ada", "device": "x".repeat(513)}), "device"),
        (json!({"user_id": "ada", "cookies": true}), "cookies"),
        (json!({"user_id": "ada", "token": "trs1_mine"}), "token"),
    ] {
        let refused = service.post("/v1/sessions").json(&request).send().await.unwrap();
        let refused = problem(refused, 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    assert_eq!(service.read("/v1/users/ada/sessions").await["sessions"], json!([]));
    let token = log_in(&service, "ada").await;
    for (request, field) in [
        (json!({}), "context"),
        (json!({"context": null}), "context"),
        (json!({"context": {}, "user_id": "root"}), "user_id"),
        (json!({"context": {"a": "x".repeat(64)}}), "context"),
    ] {
        let refused = service.request("PATCH", "/v1/sessions/current").bearer_auth(&token).json(&request).send();
        let refused = problem(refused.await.unwrap(), 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let refused =
        service.post("/v1/sessions/current/rotate").bearer_auth(&token).json(&json!({"reason": "fun"})).send();
    assert_eq!(problem(refused.await.unwrap(), 422, "invalid-request").await["errors"][0]["field"], "reason");
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_in_the_context() {
    let service = Service::start().await;
    let token = log_in(&service, "ada").await;
    let change = async |number: usize| {
        let patch = json!({"context": {format!("n{number}"): number}});
        let answer = service.request("PATCH", "/v1/sessions/current").bearer_auth(&token).json(&patch).send().await;
        body(answer.unwrap(), 200).await;
    };
    futures::future::join_all((0..20).map(change)).await;
    let session = body(with_token(&service, "GET", "/v1/sessions/current", &token).await, 200).await;
    assert_eq!(session["context"].as_object().unwrap().len(), 20);
}

#[tokio::test]
async fn the_figures_tell_of_sessions_and_of_the_cache() {
    let service = Service::start().await;
    let token = log_in(&service, "ada").await;
    body(with_token(&service, "GET", "/v1/sessions/current", &token).await, 200).await;
    with_token(&service, "DELETE", "/v1/sessions/current", &token).await;
    with_token(&service, "GET", "/v1/sessions/current", &token).await;
    let stats = service.read("/api/stats").await;
    assert_eq!(
        stats["sessions"],
        json!({
            "created": 1, "refused": 0, "let_in": 1, "turned_away": 1, "reused": 0, "rotated": 0, "ended": 1,
            "ended_everywhere": 0, "failed": 0
        })
    );
    assert!(stats["cache"]["namespaces"].is_array(), "{stats}");
}
