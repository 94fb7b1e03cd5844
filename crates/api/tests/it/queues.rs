//! Queues: enqueue, look, pause, page.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trackside_queue::{AlertBoard, MonitorConfig, QueueMonitor, QueuePolicy};
use trackside_testkit::eventually;

use crate::service::{Service, body, problem};

/// More than it ever takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_task_is_accepted_and_can_be_asked_for() {
    let service = Service::start().await;
    let task = json!({
        "kind": "report.render", "payload": {"month": "2026-10"}, "priority": "high", "user_id": "user-42",
        "max_attempts": 5, "timeout_ms": 1000, "project_id": "p", "tenant_id": "t",
        "backoff": {"type": "fixed", "delay_ms": 5}
    });
    let request = service.post("/v1/queues/exports/tasks").header("x-correlation-id", "order-7").json(&task);
    let response = request.send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let accepted = body(response, 202).await;
    assert_eq!(accepted["status"], "queued");
    assert_eq!(location, format!("/v1/tasks/{}", accepted["task_id"].as_str().unwrap()));

    let known = service.read(&location).await;
    let expected = json!({
        "task_id": accepted["task_id"], "queue": "exports", "kind": "report.render", "priority": "high",
        "status": "queued", "attempts": 0, "max_attempts": 5, "enqueued_at": known["enqueued_at"], "due_at": null,
        "started_at": null, "finished_at": null, "worker_id": null, "result": null, "error": null,
        "depends_on": [], "error_chain": [], "history": [], "user_id": "user-42",
        "project_id": "p", "tenant_id": "t", "tags": [], "expires_at": null, "correlation_id": "order-7"
    });
    assert_eq!(known, expected);
    let enqueued_at = known["enqueued_at"].as_str().unwrap();
    assert!(enqueued_at.ends_with('Z') && enqueued_at.len() == "2026-11-20T12:00:00.000Z".len(), "{enqueued_at}");
}

#[tokio::test]
async fn an_array_is_accepted_in_its_order_or_not_at_all() {
    let service = Service::start().await;
    let tasks: Vec<Value> = (0..300).map(|n| json!({"kind": "k", "payload": n})).collect();
    let response = service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap();
    let accepted = body(response, 202).await;
    assert_eq!(accepted["tasks"].as_array().unwrap().len(), 300);
    let next = service.read("/v1/queues/exports/tasks?limit=2").await;
    assert_eq!(next["tasks"][1]["task_id"], accepted["tasks"][1]["task_id"]);
    assert_eq!(next["tasks"][1]["payload"], 1);

    let bad = json!([{"kind": "k", "payload": 1}, {"kind": "k", "payload": 1, "delay_ms": 1, "run_at": "2026-11-20T12:00:00Z"}]);
    let response = service.post("/v1/queues/exports/tasks").json(&bad).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "[1].run_at");
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 300);
}

#[tokio::test]
async fn a_task_that_the_queue_refuses_names_the_field() {
    let service = Service::start().await;
    let response = service.post("/v1/queues/q/tasks").json(&json!({"kind": "", "payload": 1})).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "kind");
    let task = json!({"kind": "k", "payload": 1, "user_id": "two words"});
    let response = service.post("/v1/queues/q/tasks").json(&task).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "user_id");
}

#[tokio::test]
async fn ten_tasks_are_shown_unless_more_are_asked_for() {
    let service = Service::start().await;
    let tasks: Vec<Value> = (0..12).map(|n| json!({"kind": "k", "payload": n})).collect();
    service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap();
    assert_eq!(service.read("/v1/queues/exports/tasks").await["tasks"].as_array().unwrap().len(), 10);
    assert_eq!(service.read("/v1/queues/exports/tasks?limit=11").await["tasks"].as_array().unwrap().len(), 11);
}

#[tokio::test]
async fn a_queue_tells_its_depth_by_level_and_pauses() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 1, "priority": "critical"})).await;
    service.enqueue("exports", json!({"kind": "k", "payload": 1, "delay_ms": 60_000})).await;
    let queue = service.read("/v1/queues/exports").await;
    assert_eq!(queue["ready"], json!({"critical": 1, "high": 0, "normal": 0, "low": 0}));
    assert_eq!(queue["depth"], 1);
    assert_eq!(queue["delayed"], 1);
    assert_eq!(queue["scale_hint"], "down");
    assert!(queue["oldest_age_ms"].is_u64());

    let paused = body(service.post("/v1/queues/exports/pause").send().await.unwrap(), 200).await;
    assert_eq!(paused["paused"], true);
    assert_eq!(service.lease("exports").await, Value::Null, "a paused queue hands out nothing");
    let resumed = body(service.post("/v1/queues/exports/resume").send().await.unwrap(), 200).await;
    assert_eq!(resumed["paused"], false);
    assert_eq!(service.lease("exports").await["kind"], "k");
}

#[tokio::test]
async fn a_queue_that_nobody_used_is_unknown() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    problem(service.get("/v1/queues/export").send().await.unwrap(), 404, "not-found").await;
    problem(service.get("/v1/queues/export/tasks").send().await.unwrap(), 404, "not-found").await;
    problem(service.get("/v1/queues/export/dead").send().await.unwrap(), 404, "not-found").await;
    problem(service.post("/v1/queues/export/pause").send().await.unwrap(), 404, "not-found").await;
    problem(service.post("/v1/queues/export/dead/requeue").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn queues_are_listed_page_by_page() {
    let service = Service::start().await;
    for name in ["c", "a", "b"] {
        service.enqueue(name, json!({"kind": "k", "payload": 1})).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/queues?limit=2".to_owned();
    loop {
        let page = service.read(&path).await;
        seen.extend(page["queues"].as_array().unwrap().iter().map(|queue| queue["queue"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/queues?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn the_audit_accounts_for_every_task() {
    let service = Service::start().await;
    for payload in 0..4 {
        service.enqueue("exports", json!({"kind": "k", "payload": payload})).await;
    }
    let done = service.lease("exports").await;
    let path = format!("/v1/tasks/{}/ack", done["task_id"].as_str().unwrap());
    body(service.post(&path).json(&json!({"fence": done["fence"]})).send().await.unwrap(), 200).await;
    service.lease("exports").await;
    let audit = service.read("/v1/queues/exports/audit").await;
    let expected = json!({
        "queue": "exports", "created": 4, "ready": 2, "active": 1, "delayed": 0, "waiting": 0, "parked": 0,
        "completed": 1, "dead": 0, "cancelled": 0, "purged": 0, "unadopted": 0, "unplaced": 0, "balanced": true
    });
    assert_eq!(audit, expected);
    problem(service.get("/v1/queues/export/audit").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn a_repair_leaves_a_sound_queue_alone_and_knows_its_cursors() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let path = "/v1/queues/exports/repair";
    let expected = json!({"looked_at": 0, "repaired": 0, "next_cursor": null});
    assert_eq!(body(service.post(path).send().await.unwrap(), 200).await, expected);
    assert_eq!(body(service.post(path).json(&json!({"cursor": "0.64"})).send().await.unwrap(), 200).await, expected);
    let refused =
        problem(service.post(path).json(&json!({"cursor": "64"})).send().await.unwrap(), 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "cursor");
    problem(service.post("/v1/queues/export/repair").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn a_scaler_reads_one_number_in_which_running_tasks_count() {
    let service = Service::start().await;
    for payload in 0..60 {
        service.enqueue("exports", json!({"kind": "k", "payload": payload})).await;
    }
    service.lease("exports").await;
    let scale = service.read("/v1/queues/exports/scale").await;
    assert!(scale["oldest_age_ms"].is_u64());
    let numbers = [&scale["backlog"], &scale["running"], &scale["desired_load"], &scale["scale_hint"]];
    assert_eq!(numbers, [&json!(59), &json!(1), &json!(60), &json!("up")]);

    service.post("/v1/queues/exports/pause").send().await.unwrap();
    let paused = service.read("/v1/queues/exports/scale").await;
    assert_eq!(
        (&paused["backlog"], &paused["desired_load"], &paused["scale_hint"]),
        (&json!(59), &json!(1), &json!("down"))
    );
}

#[tokio::test]
async fn an_array_of_thousands_is_accepted_in_its_order() {
    let service = Service::start().await;
    let tasks: Vec<Value> = (0..8_001).map(|n| json!({"kind": "k", "payload": n})).collect();
    let accepted = body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    let accepted = accepted["tasks"].as_array().unwrap();
    assert_eq!(accepted.len(), 8_001);
    let next = service.read("/v1/queues/exports/tasks?limit=256").await;
    for (shown, accepted) in next["tasks"].as_array().unwrap().iter().zip(accepted) {
        assert_eq!(shown["task_id"], accepted["task_id"]);
    }
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 8_001);
}

#[tokio::test]
async fn a_full_queue_refuses_with_the_time_to_come_back() {
    let service = Service::start().await;
    let policy = QueuePolicy { max_depth: Some(300), ..QueuePolicy::default() };
    service.state.queues.set_policy(&"exports".parse().unwrap(), &policy).await.unwrap();
    let send = |count: usize| {
        let tasks = vec![json!({"kind": "k", "payload": 1}); count];
        service.post("/v1/queues/exports/tasks").json(&tasks).send()
    };
    let refused = send(301).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "5");
    let refused = problem(refused, 429, "queue-full").await;
    assert_eq!(refused.get("tasks"), None, "not even the first group");
    body(send(300).await.unwrap(), 202).await;
    problem(send(1).await.unwrap(), 429, "queue-full").await;
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 300);
}

#[tokio::test]
async fn a_promise_that_the_store_cannot_keep_is_refused() {
    let service = Service::start().await;
    let send = |tasks: Value| service.post("/v1/queues/exports/tasks").json(&tasks).send();
    for durability in ["replicated", "fsynced"] {
        let task = json!({"kind": "k", "payload": 1, "durability": durability});
        let refused = problem(send(task.clone()).await.unwrap(), 503, "durability-unavailable").await;
        assert!(refused["detail"].as_str().unwrap().contains("memory"), "{refused}");
        problem(send(json!([task])).await.unwrap(), 503, "durability-unavailable").await;
    }
    body(send(json!({"kind": "k", "payload": 1, "durability": "none"})).await.unwrap(), 202).await;
    let mixed = json!([{"kind": "k", "payload": 1, "durability": "none"}, {"kind": "k", "payload": 1, "durability": "fsynced"}]);
    let refused = problem(send(mixed).await.unwrap(), 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "[1].durability");
    assert_eq!(service.read("/v1/queues/exports").await["depth"], 1);
}

#[tokio::test]
async fn a_backlog_fires_an_alert_that_is_resolved_when_it_is_worked_off() {
    let service = Service::start().await;
    let tasks: Vec<Value> = (0..101).map(|n| json!({"kind": "k", "payload": n})).collect();
    body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    let config = MonitorConfig { every: Duration::from_millis(20), ..MonitorConfig::default() };
    let board: Arc<dyn AlertBoard> = Arc::clone(&service.board) as _;
    let (monitor, end) = (QueueMonitor::new(service.state.queues.clone(), board, config), CancellationToken::new());
    let watching = tokio::spawn(monitor.run(end.clone()));
    let first = async |state: &str| service.read("/v1/alerts").await[state].get(0).cloned();
    let firing = eventually(|| first("firing"), PATIENCE).await;
    assert_eq!((&firing["queue"], &firing["rule"]), (&json!("exports"), &json!("backlog")));
    assert_eq!(
        (&firing["value"], &firing["threshold"], &firing["resolved_at"]),
        (&json!(101.0), &json!(100.0), &Value::Null)
    );
    let metrics = service.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("trackside_queue_alert{queue=\"exports\",rule=\"backlog\"} 1"), "{metrics}");
    assert!(metrics.contains("trackside_queue_failures_total{queue=\"exports\",event=\"failed\"} 0"), "{metrics}");

    let lease = json!({"worker_id": "w-1", "max_tasks": 21});
    body(service.post("/v1/queues/exports/lease").json(&lease).send().await.unwrap(), 200).await;
    let resolved = eventually(|| first("recent"), PATIENCE).await;
    assert_eq!((&resolved["since"], resolved["resolved_at"].is_string()), (&firing["since"], true));
    end.cancel();
    watching.await.unwrap();
}
