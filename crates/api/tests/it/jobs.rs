//! Tools and jobs: from the request to the downloaded output.

use std::{num::NonZeroUsize, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use trackside_jobs::JOB_KIND;
use trackside_queue::{Handlers, ProcessorConfig, TaskProcessor};

use crate::service::{Service, body, problem};

/// A worker for the jobs of a service, which stops with the value.
fn work(service: &Service) -> DropGuard {
    let handler = service.state.jobs.handler();
    let config =
        ProcessorConfig { concurrency: NonZeroUsize::MIN, drain: Duration::ZERO, ..ProcessorConfig::default() };
    let queue = trackside_jobs::DEFAULT_QUEUE.parse().unwrap();
    let processor =
        TaskProcessor::new(service.state.queues.clone(), queue, Handlers::new().on(JOB_KIND, handler), config);
    let stop = CancellationToken::new();
    tokio::spawn(processor.run(stop.clone()));
    stop.drop_guard()
}

async fn run(service: &Service, request: Value) -> String {
    let response = service.post("/api/run").json(&request).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let accepted = body(response, 202).await;
    assert_eq!(accepted["status"], "queued");
    let id = accepted["job_id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/api/jobs/{id}"));
    id
}

#[tokio::test]
async fn a_tool_runs_is_followed_and_leaves_an_output_that_can_be_downloaded() {
    let service = Service::start().await;
    let tools = service.read("/api/tools").await;
    assert_eq!(tools["tools"][0]["name"], "greet");
    assert_eq!(tools["tools"][0]["parameters"]["required"], json!(["who"]));
    let id = run(&service, json!({"tool": "greet", "params": {"who": "you"}, "user_id": "user-42"})).await;
    let path = format!("/api/jobs/{id}/events");
    let events = service.events(&path, None).await;
    let _worker = work(&service);
    let events = events.rest().await;
    assert_eq!(events.first().unwrap().name, "snapshot");
    let told: Vec<_> = events.iter().map(|event| event.data.as_str()).collect();
    assert!(told.iter().any(|data| data.contains("half way")), "{told:?}");
    let end = events.last().unwrap();
    assert_eq!((end.name.as_str(), end.json()["status"].as_str()), ("end", Some("completed")));
    let again = service.get(&path).header("last-event-id", end.id.as_ref().unwrap()).send().await.unwrap();
    assert_eq!(again.status(), 204);

    let job = service.read(&format!("/api/jobs/{id}")).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["user_id"], "user-42");
    assert_eq!(job["progress"]["percent"], 100.0);
    assert_eq!(job["outputs"][0]["name"], "greeting.txt");
    assert_eq!(job["outputs"][0]["bytes"], 10);
    let href = job["outputs"][0]["href"].as_str().unwrap();
    let output = service.get(href).send().await.unwrap();
    assert_eq!(output.headers()["content-type"], "text/plain");
    assert_eq!(output.headers()["x-content-type-options"], "nosniff");
    assert_eq!(output.headers()["content-disposition"], "attachment; filename*=UTF-8''greeting.txt");
    assert_eq!(output.text().await.unwrap(), "hello you\n");
    problem(service.get(&format!("/api/jobs/{id}/outputs/other.txt")).send().await.unwrap(), 404, "not-found").await;
    let outside = format!("/api/jobs/{id}/outputs/..%2F..%2Fhistory.sqlite");
    problem(service.get(&outside).send().await.unwrap(), 404, "not-found").await;

    let list = service.read("/api/jobs?tool=greet&user_id=user-42&status=completed").await;
    assert_eq!(list["jobs"][0]["job_id"], id.as_str());
    assert_eq!(service.read("/api/jobs?status=failed").await["jobs"], json!([]));
    assert_eq!(service.read("/api/stats").await["jobs"]["by_status"]["completed"], 1);
}

#[tokio::test]
async fn wrong_tools_and_parameters_are_refused_with_their_fields() {
    let service = Service::start().await;
    let refused = async |request: Value| {
        let response = service.post("/api/run").json(&request).send().await.unwrap();
        problem(response, 422, "invalid-request").await["errors"][0].clone()
    };
    let error = refused(json!({"tool": "gret", "params": {}})).await;
    assert_eq!((&error["field"], &error["suggestion"]), (&json!("tool"), &json!("greet")));
    let error = refused(json!({"tool": "greet", "params": {}})).await;
    assert!(error["field"].as_str().unwrap().starts_with("params"), "{error}");
    assert_eq!(refused(json!({"tool": "greet", "parms": {}})).await["suggestion"], "params");
    assert_eq!(refused(json!({"tool": "greet", "params": 7})).await["field"], "params");
    problem(service.get("/api/jobs?cursor=x").send().await.unwrap(), 422, "invalid-request").await;
    problem(service.get("/api/jobs?since=yesterday").send().await.unwrap(), 422, "invalid-request").await;
}

#[tokio::test]
async fn a_job_that_waits_is_called_off_and_its_stream_ends() {
    let service = Service::start().await;
    let id = run(&service, json!({"tool": "greet", "params": {"who": "you"}})).await;
    let cancelled = service.request("DELETE", &format!("/api/jobs/{id}")).send().await.unwrap();
    assert_eq!(body(cancelled, 200).await["status"], "cancelled");
    let events = service.events(&format!("/api/jobs/{id}/events"), None).await.rest().await;
    assert_eq!(events.last().unwrap().json()["status"], "cancelled");
    let unknown = "/api/jobs/0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    problem(service.get(unknown).send().await.unwrap(), 404, "not-found").await;
    problem(service.get(&format!("{unknown}/events")).send().await.unwrap(), 404, "not-found").await;
    problem(service.request("DELETE", unknown).send().await.unwrap(), 404, "not-found").await;
    problem(service.get(&format!("{unknown}/outputs/a")).send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for who in ["a", "b", "c"] {
        ids.push(run(&service, json!({"tool": "greet", "params": {"who": who}})).await);
    }
    let first = service.read("/api/jobs?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = service.read(&format!("/api/jobs?limit=2&cursor={cursor}")).await;
    let pages = [&first, &second].map(|page| page["jobs"].as_array().unwrap().clone()).concat();
    let seen: Vec<&str> = pages.iter().rev().map(|job| job["job_id"].as_str().unwrap()).collect();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn the_stream_of_all_jobs_begins_with_what_is_there() {
    let service = Service::start().await;
    let before = run(&service, json!({"tool": "greet", "params": {"who": "you"}})).await;
    let mut events = service.events("/api/jobs/events", None).await;
    let snapshot = events.event().await.unwrap();
    assert_eq!(snapshot.name, "snapshot");
    assert_eq!(snapshot.json()["jobs"][0]["job_id"], before.as_str());
    let after = run(&service, json!({"tool": "greet", "params": {"who": "me"}})).await;
    let created = events.event().await.unwrap();
    assert_eq!(created.name, "state");
    assert_eq!(created.json()["event"], "job_created");
    assert_eq!(created.json()["job_id"], after.as_str());
}
