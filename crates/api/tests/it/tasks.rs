//! Tasks as a worker in any language handles them.

use std::time::Duration;

use serde_json::{Value, json};
use trackside_queue::{BrakeChange, BrakeScope};

use crate::service::{Service, body, problem};

#[tokio::test]
async fn a_task_is_leased_extended_and_acknowledged() {
    let service = Service::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = service.post("/v1/queues/exports/tasks").header("traceparent", trace);
    let task = json!({"kind": "k", "payload": {"z": 1, "a": 2}, "timeout_ms": 1500});
    let id = body(request.json(&task).send().await.unwrap(), 202).await["task_id"].as_str().unwrap().to_owned();

    let leased = service.lease("exports").await;
    assert_eq!(leased["task_id"], id.as_str());
    assert_eq!(leased["payload"], json!({"z": 1, "a": 2}));
    assert_eq!(leased["attempt"], 1);
    assert_eq!(leased["timeout_ms"], 1500);
    assert_eq!(leased["traceparent"], trace);
    assert_eq!(leased["correlation_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(service.read(&format!("/v1/tasks/{id}")).await["status"], "active");

    let fence = &leased["fence"];
    let extended = service.say(&id, "extend", json!({"fence": fence, "lease_ms": 90_000}), 200).await;
    assert_eq!(extended["orders"], json!([]));
    assert!(extended["lease_expires_at"].as_str().unwrap() > leased["lease_expires_at"].as_str().unwrap());
    let words = json!({"fence": fence, "result": {"pages": 12}});
    let settled = service.say(&id, "ack", words.clone(), 200).await;
    assert_eq!(settled, json!({"status": "completed", "orders": []}));
    assert_eq!(service.say(&id, "ack", words, 200).await, settled, "repeating it answers as the first time");

    let known = service.read(&format!("/v1/tasks/{id}")).await;
    assert_eq!(known["status"], "completed");
    assert_eq!(known["result"], json!({"pages": 12}));
    assert_eq!(known["worker_id"], "w-1");
    assert!(known["finished_at"].is_string());
}

#[tokio::test]
async fn a_failed_task_is_tried_again_and_dies_after_its_last_attempt() {
    let service = Service::start().await;
    let task = json!({"kind": "k", "payload": 7, "max_attempts": 2, "backoff": {"type": "fixed", "delay_ms": 0}});
    let id = service.enqueue("exports", task).await;
    let first = service.lease("exports").await;
    let words = json!({"fence": first["fence"], "error": "printer on fire"});
    assert_eq!(service.say(&id, "fail", words, 200).await["status"], "failed");
    let second = service.lease("exports").await;
    assert_eq!(second["attempt"], 2);
    let words = json!({"fence": second["fence"], "error": "still on fire"});
    assert_eq!(service.say(&id, "fail", words, 200).await["status"], "dead");

    let dead = service.read("/v1/queues/exports/dead").await;
    assert_eq!(dead["next_cursor"], Value::Null);
    let letter = &dead["tasks"][0];
    assert_eq!(letter["task_id"], id.as_str());
    assert_eq!(letter["error"], "still on fire");
    assert_eq!(letter["payload"], 7);
    assert_eq!(letter["crashes"], 0);

    let requeued = body(service.post("/v1/queues/exports/dead/requeue").send().await.unwrap(), 200).await;
    assert_eq!(requeued, json!({"requeued": 1, "remaining": 0, "next_cursor": null}));
    assert_eq!(service.lease("exports").await["attempt"], 1);
}

#[tokio::test]
async fn a_permanent_failure_is_dead_at_once_and_can_be_purged() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = service.enqueue("exports", json!({"kind": "k", "payload": 7})).await;
        let leased = service.lease("exports").await;
        let words = json!({"fence": leased["fence"], "error": "no such month", "retryable": false});
        assert_eq!(service.say(&id, "fail", words, 200).await["status"], "dead");
        ids.push(id);
    }
    let first = service.read("/v1/queues/exports/dead?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = service.read(&format!("/v1/queues/exports/dead?limit=2&cursor={cursor}")).await;
    let seen = [&first, &second].map(|page| page["tasks"].as_array().unwrap().clone()).concat();
    let mut seen: Vec<&str> = seen.iter().map(|task| task["task_id"].as_str().unwrap()).collect();
    seen.reverse();
    assert_eq!(seen, ids, "newest first, none twice");

    let some = json!({"task_ids": [ids[0]]});
    let response = service.request("DELETE", "/v1/queues/exports/dead").json(&some).send().await.unwrap();
    assert_eq!(body(response, 200).await, json!({"purged": 1, "remaining": 2, "next_cursor": null}));
    let response = service.request("DELETE", "/v1/queues/exports/dead").send().await.unwrap();
    assert_eq!(body(response, 200).await, json!({"purged": 2, "remaining": 0, "next_cursor": null}));
    problem(service.get("/v1/queues/exports/dead?cursor=x").send().await.unwrap(), 422, "invalid-request").await;
}

#[tokio::test]
async fn a_lost_lease_is_a_conflict_for_every_verb() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    let fence = leased["fence"].as_u64().unwrap() + 1;
    let words = [
        ("ack", json!({"fence": fence})),
        ("fail", json!({"fence": fence, "error": "x"})),
        ("extend", json!({"fence": fence, "lease_ms": 1000})),
        ("progress", json!({"fence": fence, "percent": 50})),
    ];
    for (verb, words) in words {
        let response = service.post(&format!("/v1/tasks/{id}/{verb}")).json(&words).send().await.unwrap();
        problem(response, 409, "lease-lost").await;
    }
    assert_eq!(service.read(&format!("/v1/tasks/{id}")).await["status"], "active");
}

#[tokio::test]
async fn an_unknown_task_is_not_found_for_every_verb() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let id = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    problem(service.get(&format!("/v1/tasks/{id}")).send().await.unwrap(), 404, "not-found").await;
    problem(service.get(&format!("/v1/tasks/{id}/events")).send().await.unwrap(), 404, "not-found").await;
    problem(service.request("DELETE", &format!("/v1/tasks/{id}")).send().await.unwrap(), 404, "not-found").await;
    let response = service.post(&format!("/v1/tasks/{id}/ack")).json(&json!({"fence": 1})).send().await.unwrap();
    problem(response, 404, "not-found").await;
}

#[tokio::test]
async fn a_waiting_task_is_cancelled_at_once_and_a_running_one_when_its_worker_obeys() {
    let service = Service::start().await;
    let delete = async |id: &str| service.request("DELETE", &format!("/v1/tasks/{id}")).send().await.unwrap();
    let waiting = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    assert_eq!(body(delete(&waiting).await, 200).await["status"], "cancelled");
    assert_eq!(body(delete(&waiting).await, 200).await["status"], "cancelled", "may be repeated");

    let running = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    assert_eq!(body(delete(&running).await, 202).await["status"], "active");
    let fence = &leased["fence"];
    let extended = service.say(&running, "extend", json!({"fence": fence}), 200).await;
    assert_eq!(extended["orders"], json!(["cancel"]));
    let settled = service.say(&running, "fail", json!({"fence": fence, "error": "told to stop"}), 200).await;
    assert_eq!(settled["status"], "cancelled");

    let done = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    service.say(&done, "ack", json!({"fence": leased["fence"]}), 200).await;
    problem(delete(&done).await, 409, "conflict").await;
}

#[tokio::test]
async fn a_worker_that_the_brake_stops_gives_its_task_back() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1, "user_id": "u"})).await;
    let leased = service.lease("exports").await;
    let scope = BrakeScope::User("u".parse().unwrap());
    let engage = BrakeChange { scope: scope.clone(), engaged: true, revision: 1 };
    service.state.queues.apply_brake(&engage).await.unwrap();
    let report = json!({"fence": leased["fence"], "percent": 10});
    assert_eq!(service.say(&id, "progress", report, 200).await["orders"], json!(["pause"]));
    service.say(&id, "fail", json!({"fence": leased["fence"], "error": "stopped"}), 200).await;
    assert_eq!(service.lease("exports").await, Value::Null, "parked");
    assert_eq!(service.read("/v1/queues/exports").await["parked"], 1);

    service.state.queues.apply_brake(&BrakeChange { scope, engaged: false, revision: 2 }).await.unwrap();
    assert_eq!(service.lease("exports").await["attempt"], 1, "the attempt was not counted");
}

#[tokio::test]
async fn a_long_poll_answers_when_a_task_arrives() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 0})).await;
    service.lease("exports").await;
    let request = json!({"worker_id": "w-2", "max_tasks": 4, "lease_ms": 60_000, "wait_ms": 30_000});
    let poll = service.post("/v1/queues/exports/lease").json(&request).send();
    let feed = async {
        tokio::task::yield_now().await;
        service.enqueue("exports", json!({"kind": "k", "payload": 1})).await
    };
    let (answer, id) = tokio::join!(poll, feed);
    assert_eq!(body(answer.unwrap(), 200).await["tasks"][0]["task_id"], id.as_str());
}

#[tokio::test]
async fn a_task_is_not_lost_to_a_client_that_hung_up() {
    let service = Service::start().await;
    service.enqueue("exports", json!({"kind": "k", "payload": 0})).await;
    service.lease("exports").await;
    for _ in 0..20 {
        let request = json!({"worker_id": "gone", "max_tasks": 1, "lease_ms": 60_000, "wait_ms": 30_000});
        let poll = service.post("/v1/queues/exports/lease").json(&request).send();
        assert!(tokio::time::timeout(Duration::from_millis(5), poll).await.is_err(), "nothing to lease yet");
    }
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    // The connections close at some moment around this one; a task leased for one of them comes back by itself.
    let request = json!({"worker_id": "w-2", "max_tasks": 1, "lease_ms": 60_000, "wait_ms": 30_000});
    let answer = service.post("/v1/queues/exports/lease").json(&request).send().await.unwrap();
    let leased = body(answer, 200).await;
    assert_eq!(leased["tasks"][0]["task_id"], id.as_str());
    assert_eq!(leased["tasks"][0]["attempt"], 1);
}

#[tokio::test]
async fn a_shutdown_answers_long_polls() {
    let service = Service::start().await;
    let request = json!({"worker_id": "w-2", "max_tasks": 1, "lease_ms": 60_000, "wait_ms": 30_000});
    let poll = service.post("/v1/queues/exports/lease").json(&request).send();
    let stop = async { service.state.shutdown.cancel() };
    let (answer, ()) = tokio::join!(poll, stop);
    assert_eq!(body(answer.unwrap(), 200).await, json!({"tasks": []}));
}

#[tokio::test]
async fn bad_lease_requests_name_the_field() {
    let service = Service::start().await;
    let field = async |request: Value| {
        let response = service.post("/v1/queues/exports/lease").json(&request).send().await.unwrap();
        problem(response, 422, "invalid-request").await["errors"][0]["field"].as_str().unwrap().to_owned()
    };
    assert_eq!(field(json!({"max_tasks": 1})).await, "worker_id");
    assert_eq!(field(json!({"worker_id": "a|b"})).await, "worker_id");
    assert_eq!(field(json!({"worker_id": "w", "max_tasks": 0})).await, "max_tasks");
    assert_eq!(field(json!({"worker_id": "w", "wait": 1})).await, "wait");
}

#[tokio::test]
async fn a_task_is_followed_from_its_first_report_to_its_end() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let path = format!("/v1/tasks/{id}/events");
    let mut events = service.events(&path, None).await;
    assert_eq!(events.next().await.unwrap().retry.as_deref(), Some("2000"));
    let first = events.event().await.unwrap();
    assert_eq!((first.name.as_str(), first.json()["status"].as_str()), ("snapshot", Some("pending")));

    let leased = service.lease("exports").await;
    let report = json!({"fence": leased["fence"], "percent": 40, "message": "page 5 of 12"});
    service.say(&id, "progress", report, 200).await;
    let report = events.event().await.unwrap();
    assert_eq!(report.json()["percent"], 40.0, "{report:?}");
    assert_eq!(report.json()["message"], "page 5 of 12");
    service.say(&id, "ack", json!({"fence": leased["fence"], "result": {"pages": 12}}), 200).await;
    let rest = events.rest().await;
    let result = rest.iter().find(|event| event.name == "result").unwrap();
    assert_eq!(result.json()["result"], json!({"pages": 12}));
    let end = rest.last().unwrap();
    assert_eq!(end.name, "end");
    let again = service.get(&path).header("last-event-id", end.id.as_ref().unwrap()).send().await.unwrap();
    assert_eq!(again.status(), 204, "the client has everything");
}

#[tokio::test]
async fn a_task_that_ended_unobserved_still_tells_its_end() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    service.say(&id, "ack", json!({"fence": leased["fence"], "result": 9}), 200).await;
    let events = service.events(&format!("/v1/tasks/{id}/events"), None).await.rest().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["snapshot", "end"]);
    assert_eq!(events[0].json()["status"], "completed");
    assert_eq!(events[0].json()["result"], 9);
}

#[tokio::test]
async fn a_task_that_is_returned_from_the_dead_letters_is_followed_anew() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let leased = service.lease("exports").await;
    service.say(&id, "progress", json!({"fence": leased["fence"], "percent": 80}), 200).await;
    let words = json!({"fence": leased["fence"], "error": "no such month", "retryable": false});
    service.say(&id, "fail", words, 200).await;
    let path = format!("/v1/tasks/{id}/events");
    let events = service.events(&path, None).await.rest().await;
    assert_eq!(events.last().unwrap().json()["status"], "failed");

    service.post("/v1/queues/exports/dead/requeue").send().await.unwrap();
    let leased = service.lease("exports").await;
    service.say(&id, "progress", json!({"fence": leased["fence"], "percent": 10}), 200).await;
    let mut events = service.events(&path, None).await;
    assert_eq!(events.event().await.unwrap().json()["percent"], 10.0);
    service.say(&id, "ack", json!({"fence": leased["fence"]}), 200).await;
    assert_eq!(events.rest().await.last().unwrap().json()["status"], "completed");
}

#[tokio::test]
async fn followers_hear_of_a_failed_attempt() {
    let service = Service::start().await;
    let id = service.enqueue("exports", json!({"kind": "k", "payload": 1})).await;
    let mut events = service.events(&format!("/v1/tasks/{id}/events"), None).await;
    assert_eq!(events.event().await.unwrap().name, "snapshot");
    let leased = service.lease("exports").await;
    service.say(&id, "fail", json!({"fence": leased["fence"], "error": "printer on fire"}), 200).await;
    let told = events.event().await.unwrap();
    assert_eq!(told.name, "state");
    assert_eq!(told.json()["state"], json!({"task_status": "failed", "reason": {"error": "printer on fire"}}));
}

#[tokio::test]
async fn a_caller_that_hung_up_is_handed_nothing() {
    let service = Service::start().await;
    let poll = json!({"worker_id": "gone", "wait_ms": 30_000});
    let request = service.post("/v1/queues/exports/lease").json(&poll).timeout(Duration::from_millis(300));
    assert!(request.send().await.unwrap_err().is_timeout());

    let id = service.enqueue("exports", json!({"kind": "k", "payload": 7})).await;
    let poll = json!({"worker_id": "next", "wait_ms": 30_000});
    let response = service.post("/v1/queues/exports/lease").json(&poll).send().await.unwrap();
    let leased = body(response, 200).await;
    assert_eq!((&leased["tasks"][0]["task_id"], &leased["tasks"][0]["attempt"]), (&json!(id), &json!(1)), "{leased}");
}
