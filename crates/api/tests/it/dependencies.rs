//! Tasks that wait for others.

use serde_json::json;

use crate::service::{Service, body, problem};

#[tokio::test]
async fn an_array_may_describe_a_whole_flow() {
    let service = Service::start().await;
    let flow = json!([
        {"kind": "collect", "payload": 1},
        {"kind": "collect", "payload": 2},
        {"kind": "render", "payload": 3, "depends_on": ["#0", "#1"]},
    ]);
    let accepted = body(service.post("/v1/queues/flow/tasks").json(&flow).send().await.unwrap(), 202).await;
    let ids: Vec<&str> =
        accepted["tasks"].as_array().unwrap().iter().map(|it| it["task_id"].as_str().unwrap()).collect();
    assert_eq!(accepted["tasks"][2]["status"], "waiting");
    assert_eq!(service.read("/v1/queues/flow").await["waiting"], 1);
    assert_eq!(service.read(&format!("/v1/tasks/{}", ids[2])).await["depends_on"], json!([ids[0], ids[1]]));

    for _ in 0..2 {
        let leased = service.lease("flow").await;
        assert_eq!(leased["kind"], "collect");
        let id = leased["task_id"].as_str().unwrap();
        service.say(id, "ack", json!({"fence": leased["fence"], "result": leased["payload"]}), 200).await;
    }
    let leased = service.lease("flow").await;
    assert_eq!((&leased["kind"], &leased["depends_on"]), (&json!("render"), &json!([ids[0], ids[1]])));
    assert_eq!(service.read("/v1/queues/flow").await["waiting"], 0);
}

#[tokio::test]
async fn a_failure_decides_as_the_task_says() {
    let service = Service::start().await;
    let first = service.enqueue("flow", json!({"kind": "k", "payload": 1})).await;
    let after = |on_failure| json!({"kind": "k", "payload": 2, "depends_on": [first], "on_failure": on_failure});
    let mut ids = Vec::new();
    for on_failure in ["fail", "continue", "cancel"] {
        ids.push(service.enqueue("flow", after(on_failure)).await);
    }
    let leased = service.lease("flow").await;
    let words = json!({"fence": leased["fence"], "error": "printer on fire", "retryable": false});
    service.say(&first, "fail", words, 200).await;
    let dead = service.read(&format!("/v1/tasks/{}", ids[0])).await;
    assert_eq!(dead["status"], "dead");
    assert_eq!(dead["error"], format!("dependency failed: task {first} is dead: printer on fire"));
    assert_eq!(service.read(&format!("/v1/tasks/{}", ids[1])).await["status"], "queued");
    assert_eq!(service.read(&format!("/v1/tasks/{}", ids[2])).await["status"], "cancelled");
}

#[tokio::test]
async fn a_dependency_that_nobody_knows_is_refused_and_nothing_added() {
    let service = Service::start().await;
    let stranger = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    let cases = [
        (json!({"kind": "k", "payload": 1, "depends_on": [stranger]}), "depends_on"),
        (json!({"kind": "k", "payload": 1, "depends_on": ["not an id"]}), "depends_on[0]"),
        (json!({"kind": "k", "payload": 1, "depends_on": ["#0"]}), "depends_on[0]"),
        (json!([{"kind": "k", "payload": 1}, {"kind": "k", "payload": 1, "depends_on": ["#1"]}]), "[1].depends_on[0]"),
        (json!([{"kind": "k", "payload": 1}, {"kind": "k", "payload": 1, "depends_on": [stranger]}]), "[1].depends_on"),
        (json!({"kind": "k", "payload": 1, "on_failure": "ignore"}), "on_failure"),
    ];
    for (request, field) in cases {
        let refused = service.post("/v1/queues/flow/tasks").json(&request).send().await.unwrap();
        let refused = problem(refused, 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    assert_eq!(service.read("/v1/queues/flow").await["created"], 0);
}
