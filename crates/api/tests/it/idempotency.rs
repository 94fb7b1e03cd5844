//! Requests that are repeated under their key.

use reqwest::Response;
use serde_json::{Value, json};

use crate::service::{Service, body, problem};

async fn enqueue(service: &Service, key: &str, request: &Value) -> Response {
    service.post("/v1/queues/exports/tasks").header("Idempotency-Key", key).json(request).send().await.unwrap()
}

fn replayed(response: &Response) -> bool {
    response.headers().get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time_and_adds_nothing() {
    let service = Service::start().await;
    let task = json!({"kind": "k", "payload": {"order": 7}, "tags": ["monthly"]});
    let first = enqueue(&service, "order-7", &task).await;
    assert!(!replayed(&first));
    let location = first.headers()["location"].clone();
    let first = body(first, 202).await;
    assert_eq!(first.get("replayed"), None);

    let again = enqueue(&service, "\"order-7\"", &task).await;
    assert!(replayed(&again), "quoted or bare, it is one key");
    assert_eq!(again.headers()["location"], location);
    let again = body(again, 202).await;
    assert_eq!(again, json!({"task_id": first["task_id"], "status": "queued", "replayed": true}));
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 1);
    assert_eq!(service.read(location.to_str().unwrap()).await["tags"], json!(["monthly"]));

    let elsewhere = service.post("/v1/queues/agent_tasks/tasks").header("Idempotency-Key", "order-7").json(&task);
    let elsewhere = body(elsewhere.send().await.unwrap(), 202).await;
    assert_ne!(elsewhere["task_id"], first["task_id"], "a key belongs to its queue");
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let service = Service::start().await;
    body(enqueue(&service, "order-7", &json!({"kind": "k", "payload": 1})).await, 202).await;
    let refused = enqueue(&service, "order-7", &json!({"kind": "k", "payload": 2})).await;
    let refused = problem(refused, 422, "idempotency-key-reused").await;
    assert_eq!(refused["errors"][0]["field"], "idempotency_key");
    let page = service.get("/problems/idempotency-key-reused").send().await.unwrap();
    assert_eq!(page.status(), 200);
}

#[tokio::test]
async fn the_tasks_of_an_array_have_keys_of_their_own() {
    let service = Service::start().await;
    let task = |payload: u32| json!({"kind": "k", "payload": payload});
    let three = json!([task(0), task(1), {"kind": "k", "payload": 2, "idempotency_key": "two"}]);
    let first = body(enqueue(&service, "batch", &three).await, 202).await;
    let again = enqueue(&service, "batch", &three).await;
    assert!(replayed(&again));
    let again = body(again, 202).await;
    for index in 0..3 {
        assert_eq!(again["tasks"][index]["task_id"], first["tasks"][index]["task_id"]);
        assert_eq!(again["tasks"][index]["replayed"], true);
    }
    // One more behind those: only that one is new.
    let four = json!([task(0), task(1), {"kind": "k", "payload": 2, "idempotency_key": "two"}, task(3)]);
    let longer = enqueue(&service, "batch", &four).await;
    assert!(!replayed(&longer));
    let longer = body(longer, 202).await;
    assert_eq!((&longer["tasks"][2]["replayed"], &longer["tasks"][3]["replayed"]), (&json!(true), &Value::Null));
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 4);

    let refused = enqueue(&service, "batch", &json!([task(0), task(7)])).await;
    let refused = problem(refused, 422, "idempotency-key-reused").await;
    assert_eq!(refused["errors"][0]["field"], "[1].idempotency_key");
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_not_ignored() {
    let service = Service::start().await;
    for key in ["", "\"open", &"x".repeat(256)] {
        let refused =
            problem(enqueue(&service, key, &json!({"kind": "k", "payload": 1})).await, 422, "invalid-request");
        assert_eq!(refused.await["errors"][0]["field"], "Idempotency-Key", "{key:?}");
    }
    let twice = service.post("/v1/queues/exports/tasks").header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    problem(twice.json(&json!({"kind": "k", "payload": 1})).send().await.unwrap(), 422, "invalid-request").await;
    assert_eq!(service.read("/v1/queues").await["queues"], json!([]));
}

#[tokio::test]
async fn a_tool_runs_once_for_one_key() {
    let service = Service::start().await;
    let run = |who: &str| {
        let request = json!({"tool": "greet", "params": {"who": who}});
        service.post("/api/run").header("Idempotency-Key", "greeting").json(&request).send()
    };
    let first = body(run("you").await.unwrap(), 202).await;
    let again = run("you").await.unwrap();
    assert!(replayed(&again));
    assert_eq!(again.headers()["location"], format!("/api/jobs/{}", first["job_id"].as_str().unwrap()));
    assert_eq!(body(again, 202).await["job_id"], first["job_id"]);
    assert_eq!(service.read("/api/jobs").await["jobs"].as_array().unwrap().len(), 1);
    problem(run("them").await.unwrap(), 422, "idempotency-key-reused").await;
}
