//! The emergency brake: the child process is gone, the queued tasks wait, and resume finishes them.

use nix::{sys::signal::kill, unistd::Pid};
use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

fn is_alive(pid: &str) -> bool {
    pid.parse().is_ok_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
}

async fn pause_stops_and_resume_finishes(redis_url: Option<&str>) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start(&home, redis_url).await?;
    let slow = json!({"steps": 1, "pause": "300", "journal": home.journal()});
    let running = service.run(json!({"tool": "count", "user_id": "u1", "params": slow})).await?;
    eventually(|| async { !home.journal_lines("start").is_empty() }, PATIENCE).await;
    let pid = home.journal_lines("start")[0][2].clone();
    assert!(is_alive(&pid));

    let (status, receipt) = service.post("/v1/agents/u1/pause", json!({"reason": "runaway", "by": "test"})).await?;
    assert_eq!((status, &receipt["paused"]), (200, &json!(true)), "{receipt}");
    eventually(|| async { !is_alive(&pid) }, PATIENCE).await;

    // Queued while paused: parked, and another user's job is not held back by them.
    let mut parked = Vec::new();
    for _ in 0..3 {
        let params = json!({"steps": 1, "journal": home.journal()});
        parked.push(service.run(json!({"tool": "count", "user_id": "u1", "params": params})).await?);
    }
    let other = service.run(json!({"tool": "count", "user_id": "u2", "params": {"steps": 1}})).await?;
    eventually(|| async { service.job_status(&other).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    for id in parked.iter().chain([&running]) {
        eventually(|| async { service.job_status(id).await.is_ok_and(|status| status == "parked") }, PATIENCE).await;
    }
    assert_eq!(home.journal_lines("start").len(), 1, "none of the queued ones was started");
    let (_, agent) = service.get("/v1/agents/u1").await?;
    assert_eq!((&agent["paused"], &agent["reason"], &agent["by"]), (&json!(true), &json!("runaway"), &json!("test")));

    let (status, cancelled) = service.delete(&format!("/api/jobs/{running}")).await?;
    assert!((200..300).contains(&status), "{cancelled}");
    let (status, receipt) = service.post("/v1/agents/u1/resume", json!({})).await?;
    assert_eq!((status, &receipt["paused"]), (200, &json!(false)), "{receipt}");
    for id in &parked {
        eventually(|| async { service.job_status(id).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    }
    Ok(())
}

#[tokio::test]
async fn pause_stops_and_resume_finishes_on_the_embedded_default() -> anyhow::Result<()> {
    pause_stops_and_resume_finishes(None).await
}

#[tokio::test]
async fn pause_stops_and_resume_finishes_on_redis() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    pause_stops_and_resume_finishes(Some(&redis.url())).await
}

#[tokio::test]
async fn a_pause_in_one_process_stops_a_task_in_another() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let (home, other_home) = (Home::new()?, Home::new()?);
    let service = Service::start(&home, Some(&redis.url())).await?;
    let api = [("TRACKSIDE_WORKER__ENABLED", "false")];
    let other = Service::start_with(&other_home, Some(&redis.url()), &api).await?;
    let slow = json!({"steps": 1, "pause": "300", "journal": home.journal()});
    service.run(json!({"tool": "count", "user_id": "u1", "params": slow})).await?;
    eventually(|| async { !home.journal_lines("start").is_empty() }, PATIENCE).await;
    let pid = home.journal_lines("start")[0][2].clone();
    other.post("/v1/agents/u1/pause", json!({})).await?;
    eventually(|| async { !is_alive(&pid) }, PATIENCE).await;
    Ok(())
}
