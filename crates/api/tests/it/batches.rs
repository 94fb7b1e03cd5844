//! Several tasks at once, as a worker with many hands speaks of them.

use std::sync::Arc;

use serde_json::{Value, json};
use trackside_core::{ErrorKind, TaskId};

use crate::{
    away::Away,
    service::{Service, body, problem, setup_over},
};

/// Enqueues so many tasks and leases them.
async fn leased(service: &Service, queue: &str, count: usize) -> Vec<Value> {
    let tasks: Vec<Value> = (0..count).map(|n| json!({"kind": "k", "payload": n, "max_attempts": 1})).collect();
    body(service.post(&format!("/v1/queues/{queue}/tasks")).json(&tasks).send().await.unwrap(), 202).await;
    let request = json!({"worker_id": "w-1", "max_tasks": count, "lease_ms": 60_000});
    let response = service.post(&format!("/v1/queues/{queue}/lease")).json(&request).send().await.unwrap();
    body(response, 200).await["tasks"].as_array().unwrap().clone()
}

/// The verdicts of an answer of this status.
async fn say(service: &Service, verb: &str, tasks: Vec<Value>) -> Vec<Value> {
    let response = service.post(&format!("/v1/tasks/{verb}")).json(&json!({"tasks": tasks})).send().await.unwrap();
    body(response, 200).await["tasks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn tasks_of_several_queues_are_acknowledged_at_once_in_their_order() {
    let service = Service::start().await;
    let (of_a, of_b) = (leased(&service, "a", 130).await, leased(&service, "b", 126).await);
    let mut tasks: Vec<&Value> = of_a.iter().chain(&of_b).collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task["payload"].as_u64()));
    let words: Vec<Value> = tasks
        .iter()
        .map(|task| json!({"task_id": task["task_id"], "fence": task["fence"], "result": {"n": task["payload"]}}))
        .collect();
    let verdicts = say(&service, "ack", words.clone()).await;
    let expected: Vec<Value> =
        tasks.iter().map(|task| json!({"task_id": task["task_id"], "status": "completed", "orders": []})).collect();
    assert_eq!(verdicts, expected);
    assert_eq!(say(&service, "ack", words).await, expected, "repeating it answers as the first time");
    let known = service.read(&format!("/v1/tasks/{}", of_b[7]["task_id"].as_str().unwrap())).await;
    assert_eq!((&known["status"], &known["result"]), (&json!("completed"), &json!({"n": 7})));
}

#[tokio::test]
async fn what_befalls_one_task_is_no_matter_of_the_others() {
    let service = Service::start().await;
    let tasks = leased(&service, "exports", 3).await;
    let unknown = TaskId::generate(&"exports".parse().unwrap()).to_string();
    let huge = "x".repeat(300 * 1024);
    let verdicts = say(
        &service,
        "ack",
        vec![
            json!({"task_id": tasks[0]["task_id"], "fence": 999_999}),
            json!({"task_id": unknown, "fence": 1}),
            json!({"task_id": tasks[1]["task_id"], "fence": tasks[1]["fence"], "result": huge}),
            json!({"task_id": tasks[2]["task_id"], "fence": tasks[2]["fence"]}),
        ],
    )
    .await;
    let problems: Vec<(&Value, &Value)> =
        verdicts[..3].iter().map(|verdict| (&verdict["problem"]["status"], &verdict["problem"]["code"])).collect();
    let expected =
        [(409, "lease-lost"), (404, "not-found"), (422, "invalid-request")].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(problems, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>(), "{verdicts:?}");
    assert_eq!(verdicts[2]["problem"]["errors"][0]["field"], "result");
    assert!(verdicts[0]["problem"]["correlation_id"].is_string());
    assert_eq!(verdicts[3], json!({"task_id": tasks[2]["task_id"], "status": "completed", "orders": []}));
    for task in &tasks[..2] {
        let known = service.read(&format!("/v1/tasks/{}", task["task_id"].as_str().unwrap())).await;
        assert_eq!(known["status"], "active", "nothing was written about it");
    }
}

#[tokio::test]
async fn failures_and_extensions_carry_what_was_ordered_meanwhile() {
    let service = Service::start().await;
    let tasks = leased(&service, "exports", 3).await;
    let called_off = tasks[1]["task_id"].as_str().unwrap();
    service.request("DELETE", &format!("/v1/tasks/{called_off}")).send().await.unwrap();
    let words = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "lease_ms": 90_000});
    let extended = say(&service, "extend", tasks.iter().map(words).collect()).await;
    let orders: Vec<&Value> = extended.iter().map(|verdict| &verdict["orders"]).collect();
    assert_eq!(orders, [&json!([]), &json!(["cancel"]), &json!([])]);
    assert!(extended[0]["lease_expires_at"].as_str().unwrap() > tasks[0]["lease_expires_at"].as_str().unwrap());

    let words = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "error": "printer on fire"});
    let mut words: Vec<Value> = tasks.iter().map(words).collect();
    words[2]["fence"] = json!(999_999);
    let failed = say(&service, "fail", words.clone()).await;
    assert_eq!((&failed[0]["status"], &failed[1]["status"]), (&json!("dead"), &json!("cancelled")));
    assert_eq!(failed[2]["problem"]["code"], "lease-lost");
    assert_eq!(say(&service, "fail", words).await[..2], failed[..2], "repeating it answers as the first time");
    let known = service.read(&format!("/v1/tasks/{}", tasks[0]["task_id"].as_str().unwrap())).await;
    assert_eq!(known["error"], "printer on fire");
}

#[tokio::test]
async fn what_is_given_back_is_next_again_and_costs_no_attempt() {
    let service = Service::start().await;
    let tasks = leased(&service, "exports", 3).await;
    let called_off = tasks[2]["task_id"].as_str().unwrap();
    service.request("DELETE", &format!("/v1/tasks/{called_off}")).send().await.unwrap();
    let words = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"]});
    let words: Vec<Value> = tasks[1..].iter().map(words).collect();
    let released = say(&service, "release", words.clone()).await;
    assert_eq!((&released[0]["status"], &released[1]["status"]), (&json!("queued"), &json!("cancelled")));
    assert_eq!(say(&service, "release", words).await, released, "repeating it answers as the first time");
    let first = tasks[0]["task_id"].as_str().unwrap();
    let one = service.say(first, "release", json!({"fence": tasks[0]["fence"]}), 200).await;
    assert_eq!(one, json!({"status": "queued", "orders": []}));
    for task in &tasks[..2] {
        let again = service.lease("exports").await;
        assert_eq!((&again["task_id"], &again["attempt"]), (&task["task_id"], &json!(1)), "in the old order");
    }
    service.say(first, "release", json!({"fence": 999_999}), 409).await;
}

#[tokio::test]
async fn progress_is_told_to_the_followers_of_each_task() {
    let service = Service::start().await;
    let tasks = leased(&service, "exports", 3).await;
    let words = |(at, task): (usize, &Value)| json!({"task_id": task["task_id"], "fence": task["fence"], "percent": 10 * at, "message": format!("part {at}")});
    let mut words: Vec<Value> = tasks.iter().enumerate().map(words).collect();
    words[0]["fence"] = json!(999_999);
    words[1]["percent"] = json!(-1);
    let verdicts = say(&service, "progress", words).await;
    assert_eq!(verdicts[0]["problem"]["code"], "lease-lost");
    assert_eq!(verdicts[1]["problem"]["errors"][0]["field"], "percent", "{}", verdicts[1]);
    assert_eq!(verdicts[2]["orders"], json!([]));
    let path = format!("/v1/tasks/{}/events", tasks[2]["task_id"].as_str().unwrap());
    let snapshot = service.events(&path, None).await.event().await.unwrap();
    assert_eq!(snapshot.json()["percent"], 20.0, "{}", snapshot.data);
    let path = format!("/v1/tasks/{}/events", tasks[0]["task_id"].as_str().unwrap());
    let snapshot = service.events(&path, None).await.event().await.unwrap();
    assert_eq!(snapshot.json()["percent"], 0.0, "{}", snapshot.data);
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_or_is_too_large_changes_nothing() {
    let service = Service::start().await;
    let task = &leased(&service, "exports", 1).await[0];
    let good = json!({"task_id": task["task_id"], "fence": task["fence"]});
    let response = service.post("/v1/tasks/ack").json(&json!({"tasks": [good, {"fence": 1}]})).send().await.unwrap();
    let refused = problem(response, 422, "invalid-request").await;
    assert_eq!(refused["errors"], json!([{"field": "tasks[1].task_id", "message": "is required"}]));
    let response = service.post("/v1/tasks/ack").json(&json!({"tasks": vec![&good; 257]})).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "tasks");
    assert_eq!(service.read("/v1/queues/exports").await["active"], 1);

    let twice = say(&service, "ack", vec![good.clone(), good]).await;
    assert_eq!(twice[0], twice[1], "what is said twice is heard once");
    assert_eq!(say(&service, "ack", Vec::new()).await, Vec::<Value>::new());
}

#[tokio::test]
async fn with_the_store_away_the_whole_batch_is_to_be_repeated() {
    let service = Service::with(setup_over(Arc::new(Away(ErrorKind::Unavailable))).await).await;
    let ids = [TaskId::generate(&"a".parse().unwrap()), TaskId::generate(&"b".parse().unwrap())];
    for verb in ["ack", "fail", "release", "extend", "progress"] {
        let words = |id: &TaskId| match verb {
            "fail" => json!({"task_id": id.to_string(), "fence": 1, "error": "x"}),
            _ => json!({"task_id": id.to_string(), "fence": 1}),
        };
        let batch = json!({"tasks": ids.iter().map(words).collect::<Vec<_>>()});
        let response = service.post(&format!("/v1/tasks/{verb}")).json(&batch).send().await.unwrap();
        assert_eq!(response.headers()["retry-after"], "2");
        problem(response, 503, "store-unavailable").await;
    }
}
