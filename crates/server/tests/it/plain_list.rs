//! What a stock Redis client sees and may do.

use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

#[tokio::test]
async fn llen_shows_the_depth_and_a_pushed_element_is_executed() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let api = Service::start_with(&home, Some(&redis.url()), &[("TRACKSIDE_WORKER__ENABLED", "false")]).await?;
    for _ in 0..3 {
        let (status, answer) =
            api.post("/v1/queues/enhancement/tasks", json!({"kind": "tool.run", "payload": {"tool": "count"}})).await?;
        assert_eq!(status, 202, "{answer}");
    }
    assert_eq!(redis.cli(&["LLEN", "enhancement:queue"]).trim(), "3");
    let element = json!({"task": "count", "params": {"steps": 2, "journal": home.journal()}}).to_string();
    assert_eq!(redis.cli(&["LPUSH", "enhancement:queue", &element]).trim(), "4");
    assert_eq!(redis.cli(&["LPUSH", "enhancement:queue", "this is not JSON"]).trim(), "5");
    api.terminate().await?;

    let service = Service::start(&home, Some(&redis.url())).await?;
    eventually(|| async { home.journal_lines("end").len() == 1 }, PATIENCE).await;
    eventually(|| async { redis.cli(&["LLEN", "enhancement:queue"]).trim() == "0" }, PATIENCE).await;
    let (_, dead) = service.get("/v1/queues/enhancement/dead").await?;
    assert!(dead.to_string().contains("this is not JSON"), "a malformed element is kept with the reason: {dead}");

    // Into an idle queue as well: nothing of ours announces it.
    redis.cli(&["LPUSH", "enhancement:queue", &element]);
    eventually(|| async { home.journal_lines("end").len() == 2 }, PATIENCE).await;
    Ok(())
}
