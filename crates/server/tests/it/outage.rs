//! Redis hangs, dies, or is not there yet: fast typed answers, and recovery without a restart.

use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

async fn ready_says(service: &Service, redis: &str) {
    let path = "/health/ready";
    eventually(|| async { service.get(path).await.is_ok_and(|(_, body)| body["redis"] == redis) }, PATIENCE).await;
}

#[tokio::test]
async fn a_hung_redis_gets_503_with_retry_after_and_everything_recovers() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    ready_says(&service, "connected").await;
    let before = service.run(json!({"tool": "count", "params": {"steps": 3}})).await?;
    eventually(|| async { service.job_status(&before).await.is_ok_and(|status| status == "completed") }, PATIENCE)
        .await;

    redis.pause();
    ready_says(&service, "disconnected").await;
    let (status, problem) = service.post("/v1/queues/exports/tasks", json!({"kind": "test", "payload": {}})).await?;
    assert_eq!(status, 503, "{problem}");
    let response = service.open("/v1/queues", &[]).await?;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(service.get("/health").await?.0, 200, "degraded is not down");
    assert_eq!(service.job_status(&before).await?, "completed", "the history answers without Redis");

    redis.resume();
    ready_says(&service, "connected").await;
    let after = service.run(json!({"tool": "count", "params": {"steps": 3}})).await?;
    eventually(|| async { service.job_status(&after).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn the_service_starts_without_redis_and_finds_it_later() -> anyhow::Result<()> {
    let redis = RedisServer::builder().prepare()?;
    let home = Home::new()?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    let (status, problem) = service.post("/api/run", json!({"tool": "count"})).await?;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(service.get("/health").await?.1["redis"], "disconnected");

    redis.restart().await?;
    ready_says(&service, "connected").await;
    let id = service.run(json!({"tool": "count"})).await?;
    eventually(|| async { service.job_status(&id).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    Ok(())
}
