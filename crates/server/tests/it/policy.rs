//! Limits of queues, from the settings.

use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

const PATH: &str = "/v1/queues/pages/policy";

async fn holds(service: &Service, depth: u64) {
    let is_so = || async { service.get(PATH).await.is_ok_and(|(_, policy)| policy["max_depth"] == json!(depth)) };
    eventually(is_so, PATIENCE).await;
}

#[tokio::test]
async fn each_start_sets_the_limits_of_the_settings_and_the_queue_keeps_to_them() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    std::fs::write(home.path().join("trackside.toml"), "[queue.policy.pages]\nmax_depth = 1\nmax_active = 2\n")?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    holds(&service, 1).await;
    let (status, _) = service.post("/v1/queues/pages/tasks", json!({"kind": "k", "payload": 1})).await?;
    assert_eq!(status, 202);
    let (status, problem) = service.post("/v1/queues/pages/tasks", json!({"kind": "k", "payload": 2})).await?;
    assert_eq!((status, &problem["code"]), (429, &json!("queue-full")));

    let (status, _) = service.put(PATH, json!({"max_depth": 7})).await?;
    assert_eq!(status, 200);
    service.terminate().await?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    holds(&service, 1).await;
    let (_, policy) = service.get(PATH).await?;
    assert_eq!(policy["max_active"], 2);
    service.terminate().await?;
    Ok(())
}
