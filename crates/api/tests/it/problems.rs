//! Every failure is a problem document, wherever it comes from.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use trackside_core::{ComponentHealth, HealthCheck};

use crate::service::{Service, body, problem, setup};

#[tokio::test]
async fn an_unknown_address_is_a_problem() {
    let service = Service::start().await;
    problem(service.get("/v1/nothing").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_allows_the_right_ones() {
    let service = Service::start().await;
    let response = service.request("DELETE", "/v1/queues/a/tasks").send().await.unwrap();
    let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allowed.contains("POST") && allowed.contains("GET"), "{allowed}");
    problem(response, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn unknown_fields_are_refused_with_what_was_probably_meant() {
    let service = Service::start().await;
    let task = json!({"kind": "a", "payload": {}, "priorty": "high", "max_atempts": 4});
    let response = service.post("/v1/queues/exports/tasks").json(&task).send().await.unwrap();
    let problem = problem(response, 422, "invalid-request").await;
    let mut errors = problem["errors"].as_array().unwrap().clone();
    errors.sort_by_key(|error| error["field"].to_string());
    assert_eq!(
        errors,
        [
            json!({"field": "max_atempts", "message": "unknown field", "suggestion": "max_attempts"}),
            json!({"field": "priorty", "message": "unknown field", "suggestion": "priority"}),
        ]
    );
    let queues = service.read("/v1/queues").await;
    assert_eq!(queues["queues"], json!([]), "nothing was enqueued");
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_too() {
    let service = Service::start().await;
    let response = service.get("/v1/queues?limt=3").send().await.unwrap();
    let refused = problem(response, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0], json!({"field": "limt", "message": "unknown field", "suggestion": "limit"}));
    let response = service.get("/v1/queues?limit=many").send().await.unwrap();
    let refused = problem(response, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "limit");
}

#[tokio::test]
async fn malformed_names_are_refused_with_their_rule() {
    let service = Service::start().await;
    let response = service.get("/v1/queues/a%3Ab").send().await.unwrap();
    let refused = problem(response, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "queue");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("1 to 64"), "{refused}");
    let response = service.get("/v1/tasks/not-an-id").send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "id");
    problem(service.get("/v1/queues/%ff").send().await.unwrap(), 422, "invalid-request").await;
}

#[tokio::test]
async fn another_media_type_is_refused() {
    let service = Service::start().await;
    let post = || service.post("/v1/queues/exports/tasks");
    let response = post().header("content-type", "text/plain").body("{}").send().await.unwrap();
    problem(response, 415, "unsupported-media-type").await;
    let response = post().body("{}").send().await.unwrap();
    problem(response, 415, "unsupported-media-type").await;
    let response = post().header("content-type", "application/json; charset=utf-8").body("{").send().await.unwrap();
    problem(response, 400, "malformed-json").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let service = Service::configured(|config| config.max_body_bytes = 64).await;
    let task = json!({"kind": "a", "payload": "x".repeat(100)});
    let response = service.post("/v1/queues/exports/tasks").json(&task).send().await.unwrap();
    problem(response, 413, "payload-too-large").await;
}

/// A component whose check panics.
struct Panicking;

#[async_trait]
impl HealthCheck for Panicking {
    fn name(&self) -> &'static str {
        "panicking"
    }

    async fn check(&self) -> ComponentHealth {
        panic!("the secret is 42")
    }
}

#[tokio::test]
async fn a_panicking_handler_fails_its_own_request_and_tells_nothing() {
    let mut setup = setup().await;
    setup.state.health = Arc::new([Arc::new(Panicking)]);
    let service = Service::with(setup).await;
    let response = service.get("/health").header("x-correlation-id", "panic-1").send().await.unwrap();
    let failed = problem(response, 500, "internal").await;
    assert_eq!(failed["correlation_id"], "panic-1");
    assert!(!failed.to_string().contains("secret"), "{failed}");
    assert_eq!(service.read("/health/live").await["status"], "ok");
}

/// A component that never answers.
struct Hanging;

#[async_trait]
impl HealthCheck for Hanging {
    fn name(&self) -> &'static str {
        "hanging"
    }

    async fn check(&self) -> ComponentHealth {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let mut setup = setup().await;
    setup.state.health = Arc::new([Arc::new(Hanging)]);
    let mut config = (*setup.state.config).clone();
    config.request_timeout = std::time::Duration::from_millis(20);
    setup.state.config = Arc::new(config);
    let service = Service::with(setup).await;
    let response = service.get("/health").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    problem(response, 503, "request-timeout").await;
}

#[tokio::test]
async fn a_callers_correlation_id_is_kept_when_it_is_safe_to_print() {
    let service = Service::start().await;
    let correlation = async |name: &str, value: &str| {
        let response = service.get("/health/live").header(name, value).send().await.unwrap();
        response.headers()["x-correlation-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(correlation("x-correlation-id", "order-7").await, "order-7");
    assert_ne!(correlation("x-correlation-id", "two words").await, "two words");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(correlation("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).await, trace);
    assert_eq!(correlation("traceparent", "garbage").await.len(), 36, "a new UUID");
}

#[tokio::test]
async fn every_kind_of_problem_has_a_page() {
    let service = Service::start().await;
    let refused = body(service.get("/v1/nothing").send().await.unwrap(), 404).await;
    let page = service.get(refused["type"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Nothing is known"));
    problem(service.get("/problems/unheard-of").send().await.unwrap(), 404, "not-found").await;
}
