//! The main path: a tool runs as a durable task, its progress streams, its outputs download, its history stays.

use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::{
    service::{Home, PATIENCE, Service},
    sse::{Event, EventStream},
};

/// The messages of progress events, in the order in which they came.
fn messages(events: &[Event]) -> Vec<String> {
    let progress = events.iter().filter(|event| event.name == "progress");
    progress.filter_map(|event| event.data["message"].as_str().map(str::to_owned)).collect()
}

async fn finished(service: &Service, id: &str) {
    eventually(|| async { service.job_status(id).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
}

async fn a_tool_runs_and_everything_about_it_can_be_read(redis_url: Option<&str>) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start(&home, redis_url).await?;

    let id = service.run(json!({"tool": "count", "params": {"steps": 8, "pause": "0.05"}})).await?;
    let mut stream = EventStream::new(service.open(&format!("/api/jobs/{id}/events"), &[]).await?)?;
    let events = stream.rest().await?;
    assert_eq!(events.first().map(|event| event.name.as_str()), Some("snapshot"));
    assert_eq!(events.last().map(|event| event.name.as_str()), Some("end"));
    let steps = messages(&events);
    assert!(
        (1..=8).map(|n| format!("step {n}")).collect::<Vec<_>>().ends_with(&steps) && !steps.is_empty(),
        "what was not in the snapshot comes in order and whole: {steps:?}\n{}",
        service.log()
    );

    finished(&service, &id).await;
    let (_, job) = service.get(&format!("/api/jobs/{id}")).await?;
    assert_eq!(job["outputs"][0]["name"], "count.txt", "{job}");
    let output = service.open(&format!("/api/jobs/{id}/outputs/count.txt"), &[]).await?;
    assert_eq!(output.text().await?, "8 counted\n");

    let (status, _) = service.terminate().await?;
    assert!(status.success(), "SIGTERM is a clean end: {status}");
    let service = Service::start(&home, redis_url).await?;
    assert_eq!(service.job_status(&id).await?, "completed", "the job is in the history after a restart");
    let output = service.open(&format!("/api/jobs/{id}/outputs/count.txt"), &[]).await?;
    assert_eq!(output.text().await?, "8 counted\n");
    Ok(())
}

#[tokio::test]
async fn a_tool_runs_on_the_embedded_default() -> anyhow::Result<()> {
    a_tool_runs_and_everything_about_it_can_be_read(None).await
}

#[tokio::test]
async fn a_tool_runs_on_redis() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    a_tool_runs_and_everything_about_it_can_be_read(Some(&redis.url())).await
}

#[tokio::test]
async fn the_embedded_default_says_that_nothing_survives() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start(&home, None).await?;
    let (status, health) = service.get("/health").await?;
    assert_eq!(status, 200);
    assert_eq!(
        (&health["store"], &health["durable"], &health["redis"]),
        (&json!("memory"), &json!(false), &json!("not_configured"))
    );
    assert!(service.log().contains("memory"), "{}", service.log());
    Ok(())
}

#[tokio::test]
async fn a_cut_stream_resumes_with_nothing_missed_and_nothing_twice() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    let id = service.run(json!({"tool": "count", "params": {"steps": 40, "pause": "0.02"}})).await?;
    let path = format!("/api/jobs/{id}/events");

    // Cut after every few events, as a bad network does, and go on from the last id that was seen.
    let (mut all, mut last_id): (Vec<Event>, Option<String>) = (Vec::new(), None);
    while all.last().is_none_or(|event| event.name != "end") {
        let headers: Vec<(&str, &str)> = last_id.iter().map(|id| ("Last-Event-ID", id.as_str())).collect();
        let response = service.open(&path, &headers).await?;
        if response.status() == 204 {
            break;
        }
        let mut stream = EventStream::new(response)?;
        for _ in 0..5 {
            let Some(event) = stream.next().await? else { break };
            last_id = event.id.clone().or(last_id);
            all.push(event);
        }
    }
    let ids: Vec<&String> =
        all.iter().filter(|event| event.name != "snapshot").filter_map(|event| event.id.as_ref()).collect();
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(ids.len(), unique.len(), "no event came twice: {ids:?}");
    let steps = messages(&all);
    let from = 40 - steps.len();
    let expected: Vec<String> = (from + 1..=40).map(|n| format!("step {n}")).collect();
    assert_eq!(steps, expected, "every step after the first snapshot came, in order");
    assert!(steps.len() > 20, "the stream was followed while it ran: {steps:?}");
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_problems_that_name_the_field() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start(&home, None).await?;
    let (status, problem) = service.post("/api/run", json!({"tool": "cuont"})).await?;
    assert_eq!((status, &problem["errors"][0]["suggestion"]), (422, &json!("count")), "{problem}");
    let (status, problem) = service.post("/api/run", json!({"tool": "count", "params": {"steps": "many"}})).await?;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["errors"][0]["field"].as_str().is_some_and(|field| field.contains("steps")), "{problem}");
    let (status, problem) = service.post("/api/run", json!({"tool": "count", "prams": {}})).await?;
    assert!((400..=422).contains(&status) && problem.to_string().contains("params"), "{problem}");
    assert!(problem["correlation_id"].is_string(), "{problem}");
    Ok(())
}
