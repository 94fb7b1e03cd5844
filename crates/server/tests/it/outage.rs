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

/// How often a request was held against its limits and waited for an answer that did not come, and how often it was not sent.
async fn waited_and_not_sent(service: &Service) -> anyhow::Result<[u64; 2]> {
    let metrics = service.open("/metrics", &[]).await?.text().await?;
    let of = |kind: &str| {
        let count = "db_client_operation_duration_seconds_count{";
        let wanted = ["db_operation_name=\"limits.take\"".to_owned(), format!("error_type=\"{kind}\"")];
        let line = metrics.lines().find(|line| line.starts_with(count) && wanted.iter().all(|it| line.contains(it)));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    Ok([of("timeout"), of("unavailable")])
}

#[tokio::test]
async fn no_limited_request_waits_for_a_redis_that_stands_still_once_that_is_known() -> anyhow::Result<()> {
    const REQUESTS: u64 = 300;
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let settings =
        [("TRACKSIDE_LIMITS__REQUESTS", "free"), ("TRACKSIDE_LIMITS__POLICY__FREE__LIMIT__IP__LIMIT", "100000")];
    let service = Service::start_with(&home, Some(&redis.url()), &settings).await?;
    ready_says(&service, "connected").await;
    redis.pause();
    let is_known = || async {
        let redis = &service.get("/api/stats").await?.1["redis"];
        anyhow::ensure!(redis["connected"] == false || redis["breaker"] != "closed", "{redis}");
        anyhow::Ok(())
    };
    eventually(is_known, PATIENCE).await;

    let [waited, not_sent] = waited_and_not_sent(&service).await?;
    for _ in 0..REQUESTS {
        assert_eq!(service.get("/api/tools").await?.0, 200);
    }
    let [waited_since, not_sent_since] = waited_and_not_sent(&service).await?;
    assert_eq!(waited_since, waited, "they are decided here");
    assert!(not_sent_since - not_sent >= REQUESTS, "each of them is held against its limits");
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
