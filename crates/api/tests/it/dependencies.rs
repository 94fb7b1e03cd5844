//! Tasks that wait for others.

use std::time::Duration;

use serde_json::json;
use trackside_testkit::eventually;

use crate::service::{Service, body, problem};

const PATIENCE: Duration = Duration::from_secs(30);

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

#[tokio::test]
async fn an_acknowledgement_brings_the_next_tasks_once() {
    let service = Service::start().await;
    let id = service.enqueue("flow", json!({"kind": "k", "payload": 1, "user_id": "u-1"})).await;
    let leased = service.lease("flow").await;
    let words = json!({
        "fence": leased["fence"], "result": {"pages": 2},
        "enqueue": [
            {"kind": "render", "payload": {"page": 1}},
            {"kind": "bind", "payload": {}, "depends_on": ["#0"], "queue": "flow"},
            {"kind": "mail", "payload": {}, "delay_ms": 60_000, "user_id": "u-2"},
        ],
    });
    let settled = service.say(&id, "ack", words.clone(), 200).await;
    assert_eq!(settled["status"], "completed");
    let enqueued = settled["enqueued"].as_array().unwrap();
    let shown = |at: usize| (enqueued[at]["queue"].as_str().unwrap(), enqueued[at]["status"].as_str().unwrap());
    assert_eq!([shown(0), shown(1), shown(2)], [("flow", "queued"), ("flow", "waiting"), ("flow", "delayed")]);
    assert_eq!(service.say(&id, "ack", words.clone(), 200).await, settled, "repeating it answers the same tasks");
    assert_eq!(service.read("/v1/queues/flow/audit").await["created"], 4);

    let next = service.lease("flow").await;
    assert_eq!((&next["kind"], &next["task_id"]), (&json!("render"), &enqueued[0]["task_id"]));
    assert_eq!((&next["user_id"], &next["correlation_id"]), (&json!("u-1"), &leased["correlation_id"]));
    let mail = service.read(&format!("/v1/tasks/{}", enqueued[2]["task_id"].as_str().unwrap())).await;
    assert_eq!((&mail["user_id"], &mail["correlation_id"]), (&json!("u-2"), &leased["correlation_id"]));
    let again = service.say(&id, "ack", words, 200).await;
    assert_eq!(again["enqueued"][0]["status"], "active", "{again}");
}

#[tokio::test]
async fn a_bad_next_task_is_named_and_nothing_is_settled() {
    let service = Service::start().await;
    let id = service.enqueue("flow", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("flow").await;
    let stranger = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    let plain = json!({"kind": "k", "payload": 1});
    let unique = json!({"kind": "k", "payload": 1, "unique": {"key": "one"}});
    let cases = [
        (json!([{"kind": "", "payload": 1}]), "enqueue[0].kind"),
        (json!([plain, {"kind": "k", "payload": 1, "depends_on": ["#1"]}]), "enqueue[1].depends_on[0]"),
        (json!([plain, {"kind": "k", "payload": 1, "depends_on": [stranger]}]), "enqueue[1].depends_on"),
        (json!([unique, {"kind": "k", "payload": 1, "depends_on": ["#0"]}]), "enqueue[1].depends_on"),
        (json!([{"kind": "k", "payload": 1, "idempotency_key": "a"}]), "enqueue[0].idempotency_key"),
        (json!([{"kind": "k", "payload": 1, "queue": "a b"}]), "enqueue[0].queue"),
        (json!([{"kind": "k", "payload": 1, "queu": "flow"}]), "enqueue[0].queu"),
        (json!(vec![plain.clone(); 65]), "enqueue"),
    ];
    for (enqueue, field) in cases {
        let words = json!({"fence": leased["fence"], "enqueue": enqueue});
        let answer = service.post(&format!("/v1/tasks/{id}/ack")).json(&words).send().await.unwrap();
        let refused = problem(answer, 422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    assert_eq!(service.read(&format!("/v1/tasks/{id}")).await["status"], "active");
    assert_eq!(service.read("/v1/queues/flow/audit").await["created"], 1);
}

#[tokio::test]
async fn a_batch_of_acknowledgements_brings_what_follows_each() {
    let service = Service::start().await;
    let mut acks = Vec::new();
    for number in 0..3 {
        let id = service.enqueue("flow", json!({"kind": "k", "payload": number})).await;
        let leased = service.lease("flow").await;
        let next = json!({"kind": if number == 1 { "" } else { "next" }, "payload": number});
        acks.push(json!({"task_id": id, "fence": leased["fence"], "enqueue": [next]}));
    }
    for _ in 0..2 {
        let answer = service.post("/v1/tasks/ack").json(&json!({"tasks": acks})).send().await.unwrap();
        let verdicts = body(answer, 200).await;
        for at in [0, 2] {
            assert_eq!(verdicts["tasks"][at]["status"], "completed", "{verdicts}");
            assert_eq!(verdicts["tasks"][at]["enqueued"][0]["status"], "queued", "{verdicts}");
        }
        assert_eq!(verdicts["tasks"][1]["problem"]["errors"][0]["field"], "enqueue[0].kind", "{verdicts}");
    }
    assert_eq!(service.read("/v1/queues/flow/audit").await["created"], 5);
    assert_eq!(service.read(&format!("/v1/tasks/{}", acks[1]["task_id"].as_str().unwrap())).await["status"], "active");
}

#[tokio::test]
async fn a_task_waits_for_those_of_other_queues_and_reads_their_results() {
    let service = Service::start().await;
    let mut pages = Vec::new();
    for number in 0..3 {
        pages.push(service.enqueue("pages", json!({"kind": "page.render", "payload": number})).await);
    }
    let book = service.enqueue("books", json!({"kind": "book.bind", "payload": {}, "depends_on": pages})).await;
    let read_book = || async { service.read(&format!("/v1/tasks/{book}")).await };
    assert_eq!(read_book().await["status"], "waiting");
    for _ in &pages {
        let leased = service.lease("pages").await;
        let id = leased["task_id"].as_str().unwrap();
        service.say(id, "ack", json!({"fence": leased["fence"], "result": {"page": leased["payload"]}}), 200).await;
    }
    eventually(|| async { read_book().await["status"] == "queued" }, PATIENCE).await;
    let leased = service.lease("books").await;
    assert_eq!((&leased["task_id"], &leased["depends_on"]), (&json!(book), &json!(pages)));

    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = service.read(&format!("/v1/tasks/{book}/predecessors?limit=2{cursor}")).await;
        seen.extend(page["predecessors"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let shown = |at: usize| {
        let it: &serde_json::Value = &seen[at];
        (it["task_id"].clone(), it["queue"].clone(), it["status"].clone(), it["result"].clone())
    };
    for (at, page) in pages.iter().enumerate() {
        assert_eq!(shown(at), (json!(page), json!("pages"), json!("completed"), json!({"page": at})));
    }
    assert_eq!(seen.len(), 3);
    let refused = service.get(&format!("/v1/tasks/{book}/predecessors?cursor=x")).send().await.unwrap();
    assert_eq!(problem(refused, 422, "invalid-request").await["errors"][0]["field"], "cursor");
}

#[tokio::test]
async fn a_chain_goes_from_queue_to_queue() {
    let service = Service::start().await;
    let id = service.enqueue("pages", json!({"kind": "page.render", "payload": 1, "user_id": "u-1"})).await;
    let leased = service.lease("pages").await;
    let next = json!([
        {"kind": "book.bind", "payload": {}, "queue": "books"},
        {"kind": "page.count", "payload": {}, "depends_on": ["#0"]},
    ]);
    let settled = service.say(&id, "ack", json!({"fence": leased["fence"], "enqueue": next}), 200).await;
    assert_eq!(settled["enqueued"][0]["queue"], "books", "{settled}");
    let ids = [0, 1].map(|at| settled["enqueued"][at]["task_id"].as_str().unwrap().to_owned());
    let status = |id: String| {
        let service = &service;
        async move {
            let answer = service.get(&format!("/v1/tasks/{id}")).send().await.unwrap();
            answer.json::<serde_json::Value>().await.unwrap()["status"].clone()
        }
    };
    eventually(|| async { status(ids[0].clone()).await == "queued" }, PATIENCE).await;
    assert_eq!(status(ids[1].clone()).await, "waiting");
    let book = service.lease("books").await;
    assert_eq!((&book["task_id"], &book["user_id"]), (&json!(ids[0]), &json!("u-1")));
    let words = json!({"fence": book["fence"], "error": "no glue", "retryable": false});
    service.say(&ids[0], "fail", words, 200).await;
    eventually(|| async { status(ids[1].clone()).await == "dead" }, PATIENCE).await;
    let error = service.read(&format!("/v1/tasks/{}", ids[1])).await["error"].clone();
    assert_eq!(error, format!("dependency failed: task {} is dead: no glue", ids[0]));
}
