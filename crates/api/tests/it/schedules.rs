//! Schedules: write, read, pause, run, remove.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::service::{Service, body, problem};

async fn put(service: &Service, name: &str, schedule: Value) -> reqwest::Response {
    service.request("PUT", &format!("/v1/schedules/{name}")).json(&schedule).send().await.unwrap()
}

#[tokio::test]
async fn a_schedule_is_written_read_and_removed() {
    let service = Service::start().await;
    let schedule = json!({
        "queue": "exports", "kind": "report.render", "payload": {"b": 1, "a": [2.50]}, "cron": "30 2 * * MON-FRI",
        "timezone": "Europe/Berlin", "catch_up": "all", "catch_up_max": 3, "jitter_ms": 1000, "priority": "high",
        "timeout_ms": 5000, "max_attempts": 5, "backoff": {"type": "fixed", "delay_ms": 10}, "user_id": "u-1",
        "project_id": "p", "tenant_id": "t", "tags": ["nightly"]
    });
    let written = body(put(&service, "nightly", schedule.clone()).await, 201).await;
    for (field, value) in schedule.as_object().unwrap() {
        assert_eq!(&written[field], value, "{field}");
    }
    assert_eq!(written["name"], "nightly");
    assert_eq!((&written["paused"], &written["last_run"], &written["runs"]), (&json!(false), &Value::Null, &json!(0)));
    let slot = written["next_slot"].as_str().unwrap();
    assert!(slot.ends_with(":30:00.000Z"), "{slot}");
    assert!(written["next_run_at"].as_str().unwrap() >= slot);
    assert_eq!(service.read("/v1/schedules/nightly").await, written);
    let again = body(put(&service, "nightly", schedule).await, 200).await;
    assert_eq!(again["next_slot"], written["next_slot"]);

    let removed = service.request("DELETE", "/v1/schedules/nightly").send().await.unwrap();
    assert_eq!(removed.status(), 204);
    problem(service.request("DELETE", "/v1/schedules/nightly").send().await.unwrap(), 404, "not-found").await;
    problem(service.get("/v1/schedules/nightly").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn a_schedule_makes_its_tasks() {
    let service = Service::start().await;
    put(&service, "pulse", json!({"queue": "exports", "kind": "pulse", "every_ms": 100})).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let task = loop {
        let task = service.lease("exports").await;
        if !task.is_null() {
            break task;
        }
        assert!(Instant::now() < deadline, "no task came");
        tokio::task::yield_now().await;
    };
    assert_eq!((&task["kind"], &task["payload"]), (&json!("pulse"), &json!({})));
    let schedule = service.read("/v1/schedules/pulse").await;
    assert_eq!(
        (&schedule["every_ms"], &schedule["cron"], &schedule["timezone"]),
        (&json!(100), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_schedule_rests_until_it_is_woken_and_is_run_by_hand() {
    let service = Service::start().await;
    let hourly = json!({"queue": "exports", "kind": "k", "payload": [1], "every_ms": 3_600_000, "paused": true});
    let resting = body(put(&service, "hourly", hourly).await, 201).await;
    assert_eq!((&resting["paused"], &resting["next_run_at"]), (&json!(true), &Value::Null));
    let resumed = body(service.post("/v1/schedules/hourly/resume").send().await.unwrap(), 200).await;
    assert!(resumed["next_run_at"].is_string() && resumed["paused"] == false);
    let paused = body(service.post("/v1/schedules/hourly/pause").send().await.unwrap(), 200).await;
    assert_eq!(paused["paused"], true);

    let run = service.post("/v1/schedules/hourly/run").header("idempotency-key", "once").send().await.unwrap();
    let location = run.headers()["location"].to_str().unwrap().to_owned();
    let run = body(run, 202).await;
    assert_eq!(location, format!("/v1/tasks/{}", run["task_id"].as_str().unwrap()));
    let again = service.post("/v1/schedules/hourly/run").header("idempotency-key", "once").send().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(body(again, 202).await["task_id"], run["task_id"]);
    let schedule = service.read("/v1/schedules/hourly").await;
    assert_eq!(schedule["last_run"]["task_id"], run["task_id"]);
    assert_eq!(schedule["last_run"]["slot"], Value::Null);
    assert_eq!(service.lease("exports").await["task_id"], run["task_id"]);
    for verb in ["pause", "resume", "run"] {
        problem(service.post(&format!("/v1/schedules/other/{verb}")).send().await.unwrap(), 404, "not-found").await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_said_by_its_field() {
    let service = Service::start().await;
    let with = |change: Value| {
        let mut schedule = json!({"queue": "exports", "kind": "k", "every_ms": 60_000});
        schedule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        schedule.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        schedule
    };
    for (field, change) in [
        ("cron", json!({"every_ms": null})),
        ("every_ms", json!({"cron": "* * * * *"})),
        ("cron", json!({"every_ms": null, "cron": "61 * * * *"})),
        ("cron", json!({"every_ms": null, "cron": "0 0 30 2 *"})),
        ("timezone", json!({"every_ms": null, "cron": "* * * * *", "timezone": "Mars/Olympus"})),
        ("timezone", json!({"timezone": "UTC"})),
        ("every_ms", json!({"every_ms": 99})),
        ("catch_up_max", json!({"catch_up_max": 2})),
        ("catch_up_max", json!({"catch_up": "all", "catch_up_max": 257})),
        ("catch_up", json!({"catch_up": "al"})),
        ("jitter_ms", json!({"jitter_ms": 40_000_000_000_u64})),
        ("queue", json!({"queue": "two words"})),
        ("kind", json!({"kind": ""})),
        ("timeout_ms", json!({"timeout_ms": 0})),
        ("crn", json!({"crn": "* * * * *"})),
    ] {
        let refused = problem(put(&service, "s", with(change.clone())).await, 422, "invalid-request").await;
        let named: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
        assert!(named.contains(&json!(field)), "{change}: {named:?}");
    }
    let refused = problem(put(&service, "two%20words", with(json!({}))).await, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "name");
    problem(service.get("/v1/schedules/s").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn schedules_are_listed_page_by_page() {
    let service = Service::start().await;
    for name in ["c", "a", "d", "b"] {
        put(&service, name, json!({"queue": "exports", "kind": "k", "every_ms": 3_600_000})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/schedules?limit=2".to_owned());
    loop {
        let page = service.read(&path).await;
        seen.extend(page["schedules"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/schedules?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    let refused = service.get("/v1/schedules?cursor=two%20words").send().await.unwrap();
    assert_eq!(problem(refused, 422, "invalid-request").await["errors"][0]["field"], "cursor");
}
