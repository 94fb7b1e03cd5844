//! Limits of a queue: written, read, refused, and obeyed.

use serde_json::{Value, json};

use crate::service::{Service, body, problem};

const PATH: &str = "/v1/queues/exports/policy";

fn nothing() -> Value {
    json!({
        "max_depth": null, "max_bytes": null, "max_active": null, "rate": null, "tenant_max_active": null,
        "tenant_rate": null, "fair": null, "age_after_ms": null
    })
}

async fn put(service: &Service, policy: Value) -> Value {
    body(service.request("PUT", PATH).json(&policy).send().await.unwrap(), 200).await
}

/// Leases up to five tasks and answers how many came.
async fn lease(service: &Service) -> Vec<Value> {
    let request = json!({"worker_id": "w-1", "max_tasks": 5, "lease_ms": 60_000, "wait_ms": 0});
    let answer = service.post("/v1/queues/exports/lease").json(&request).send().await.unwrap();
    body(answer, 200).await["tasks"].as_array().unwrap().clone()
}

async fn ack(service: &Service, task: &Value) {
    let (id, fence) = (task["task_id"].as_str().unwrap(), &task["fence"]);
    service.say(id, "ack", json!({"fence": fence}), 200).await;
}

#[tokio::test]
async fn what_was_written_is_read_back_and_replaces_what_was_there() {
    let service = Service::start().await;
    let all = json!({
        "max_depth": 1_000, "max_bytes": 1_048_576, "max_active": 8,
        "rate": {"count": 600, "per_ms": 60_000, "burst": 10}, "tenant_max_active": 2,
        "tenant_rate": {"count": 1, "per_ms": 5, "burst": null}, "fair": 3, "age_after_ms": 30_000
    });
    assert_eq!(put(&service, all.clone()).await, all);
    assert_eq!(service.read(PATH).await, all);
    assert_eq!(put(&service, all.clone()).await, all, "an answer is a request");

    let mut few = nothing();
    few["max_active"] = json!(1);
    assert_eq!(put(&service, json!({"max_active": 1})).await, few);
    assert_eq!(service.read(PATH).await, few);
    assert_eq!(put(&service, json!({})).await, nothing());
}

#[tokio::test]
async fn writing_limits_makes_the_queue_and_reading_them_does_not() {
    let service = Service::start().await;
    problem(service.get(PATH).send().await.unwrap(), 404, "not-found").await;
    put(&service, json!({"max_depth": 5})).await;
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 0);
}

#[tokio::test]
async fn limits_that_no_queue_can_keep_name_the_field_and_change_nothing() {
    let service = Service::start().await;
    let week = json!({"count": 1, "per_ms": 604_800_000});
    let cases = [
        ("max_depth", json!({"max_depth": u64::MAX})),
        ("max_depth", json!({"max_depth": -1})),
        ("max_active", json!({"max_active": 0})),
        ("rate", json!({"rate": {"count": 1, "per_ms": 0}})),
        ("rate.count", json!({"rate": {"count": 0, "per_ms": 1}})),
        ("rate.per_ms", json!({"rate": {"count": 1}})),
        ("tenant_rate", json!({"rate": week, "tenant_rate": {"count": 1, "per_ms": 1, "burst": 1_000_001}})),
        ("fair", json!({"fair": 1_001})),
        ("age_after_ms", json!({"age_after_ms": 0})),
    ];
    for (field, policy) in cases {
        let answer = service.request("PUT", PATH).json(&policy).send().await.unwrap();
        assert_eq!(problem(answer, 422, "invalid-request").await["errors"][0]["field"], field, "{policy}");
    }
    let answer = service.request("PUT", PATH).json(&json!({"max_activ": 1})).send().await.unwrap();
    assert_eq!(problem(answer, 422, "invalid-request").await["errors"][0]["suggestion"], "max_active");
    problem(service.get(PATH).send().await.unwrap(), 404, "not-found").await;

    put(&service, json!({"max_active": 2})).await;
    let answer = service.request("PUT", PATH).json(&json!({"fair": 1_001})).send().await.unwrap();
    problem(answer, 422, "invalid-request").await;
    assert_eq!(service.read(PATH).await["max_active"], 2);
}

#[tokio::test]
async fn a_queue_at_its_depth_refuses_until_a_task_has_ended() {
    let service = Service::start().await;
    put(&service, json!({"max_depth": 2})).await;
    let send = || service.post("/v1/queues/exports/tasks").json(&json!({"kind": "k", "payload": 1})).send();
    for _ in 0..2 {
        body(send().await.unwrap(), 202).await;
    }
    let refused = send().await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait >= 1);
    problem(refused, 429, "queue-full").await;

    ack(&service, &lease(&service).await[0]).await;
    body(send().await.unwrap(), 202).await;
    problem(send().await.unwrap(), 429, "queue-full").await;
    put(&service, json!({})).await;
    body(send().await.unwrap(), 202).await;
}

#[tokio::test]
async fn no_more_tasks_are_leased_than_there_are_places() {
    let service = Service::start().await;
    put(&service, json!({"max_active": 2})).await;
    let tasks = vec![json!({"kind": "k", "payload": 1}); 5];
    body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    let held = lease(&service).await;
    assert_eq!(held.len(), 2);
    assert!(lease(&service).await.is_empty());
    let queue = service.read("/v1/queues/exports").await;
    assert_eq!((&queue["depth"], &queue["active"]), (&json!(3), &json!(2)));

    // Who waits for a task is woken by the place that becomes free.
    let request = json!({"worker_id": "w-2", "max_tasks": 5, "lease_ms": 60_000, "wait_ms": 20_000});
    let waiting = service.post("/v1/queues/exports/lease").json(&request).send();
    let (woken, ()) = tokio::join!(waiting, ack(&service, &held[0]));
    assert_eq!(body(woken.unwrap(), 200).await["tasks"].as_array().unwrap().len(), 1);

    put(&service, json!({"max_active": 4})).await;
    assert_eq!(lease(&service).await.len(), 2);
}

#[tokio::test]
async fn a_rate_holds_back_what_comes_too_soon() {
    let service = Service::start().await;
    put(&service, json!({"rate": {"count": 24, "per_ms": 86_400_000, "burst": 3}})).await;
    let tasks = vec![json!({"kind": "k", "payload": 1}); 5];
    body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    assert_eq!(lease(&service).await.len(), 3);
    assert!(lease(&service).await.is_empty());
    put(&service, json!({})).await;
    assert_eq!(lease(&service).await.len(), 2);
}

#[tokio::test]
async fn a_tenant_with_many_tasks_leaves_places_to_the_others() {
    let service = Service::start().await;
    put(&service, json!({"tenant_max_active": 1})).await;
    for tenant in ["a", "a", "a", "b"] {
        service.enqueue("exports", json!({"kind": "k", "payload": tenant, "tenant_id": tenant})).await;
    }
    let mut tenants: Vec<String> =
        lease(&service).await.iter().map(|task| task["payload"].as_str().unwrap().to_owned()).collect();
    tenants.sort_unstable();
    assert_eq!(tenants, ["a", "b"]);
}
