//! What a producer may say about a task, over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use trackside_core::Timestamp;

use crate::service::{Service, body, problem};

#[tokio::test]
async fn a_task_that_expired_is_cancelled_and_says_so() {
    let service = Service::start().await;
    let late = json!({"kind": "k", "payload": 1, "expires_at": "2026-01-01T00:00:00.000Z"});
    let id = service.enqueue("exports", late).await;
    assert_eq!(service.read(&format!("/v1/tasks/{id}")).await["expires_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(service.lease("exports").await, Value::Null);
    let ended = service.read(&format!("/v1/tasks/{id}")).await;
    assert_eq!((&ended["status"], &ended["error"]), (&json!("cancelled"), &json!("expired before it started")));
    assert_eq!(ended["attempts"], 0);
}

#[tokio::test]
async fn one_task_at_a_time_holds_a_unique_key() {
    let service = Service::start().await;
    let enqueue = |unique: Value| {
        let task = json!({"kind": "k", "payload": 1, "unique": unique});
        service.post("/v1/queues/exports/tasks").json(&task).send()
    };
    let first = body(enqueue(json!({"key": "a"})).await.unwrap(), 202).await;
    let second = enqueue(json!({"key": "a", "until": "started"})).await.unwrap();
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    let second = body(second, 202).await;
    assert_eq!((&second["task_id"], &second["replayed"]), (&first["task_id"], &json!(true)));
    let leased = service.lease("exports").await;
    let id = first["task_id"].as_str().unwrap();
    assert_eq!(body(enqueue(json!({"key": "a"})).await.unwrap(), 202).await["status"], "active");
    service.say(id, "ack", json!({"fence": leased["fence"]}), 200).await;
    assert_ne!(body(enqueue(json!({"key": "a"})).await.unwrap(), 202).await["task_id"], first["task_id"]);
    let refused = enqueue(json!({"key": "a", "until": "soon"})).await.unwrap();
    let refused = problem(refused, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "unique.until");
}

#[tokio::test]
async fn a_task_says_how_long_it_is_leased_and_kept() {
    let service = Service::start().await;
    let task = json!({"kind": "k", "payload": 1, "lease_ms": 600_000, "retention_ms": 0});
    let id = service.enqueue("exports", task).await;
    let leased = service.lease("exports").await;
    assert!(
        leased["lease_expires_at"].as_str().unwrap()
            > (Timestamp::now().plus(Duration::from_secs(300))).to_string().as_str()
    );
    service.say(&id, "ack", json!({"fence": leased["fence"], "result": 7}), 200).await;
    problem(service.get(&format!("/v1/tasks/{id}")).send().await.unwrap(), 404, "not-found").await;
    let task = json!({"kind": "k", "payload": 1, "lease_ms": 1});
    let refused = service.post("/v1/queues/exports/tasks").json(&json!([task])).send().await.unwrap();
    let refused = problem(refused, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "[0].lease_ms");
}
