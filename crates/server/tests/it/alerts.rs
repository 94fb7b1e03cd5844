//! Alerts of one service that become tasks of another, and alerts of its cache.

use serde_json::json;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

#[tokio::test]
async fn an_alert_is_posted_to_a_url_signed_as_a_generic_webhook() -> anyhow::Result<()> {
    let (home, away) = (Home::new()?, Home::new()?);
    let desk = [
        ("TRACKSIDE_WORKER__ENABLED", "false"),
        ("TRACKSIDE_WEBHOOKS__ALERTS__SCHEME", "generic"),
        ("TRACKSIDE_WEBHOOKS__ALERTS__QUEUE", "exports"),
        ("TRACKSIDE_WEBHOOKS__ALERTS__SECRET", "a long random secret"),
    ];
    let desk = Service::start_with(&home, None, &desk).await?;
    let (url, secret) = (away.path().join("url"), away.path().join("secret"));
    std::fs::write(&url, format!("{}/webhooks/alerts?token=hunter2\n", desk.url))?;
    std::fs::write(&secret, "a long random secret\n")?;
    let watched = [
        ("TRACKSIDE_WORKER__ENABLED", "false"),
        ("TRACKSIDE_MONITOR__EVERY_MS", "100"),
        ("TRACKSIDE_MONITOR__BACKLOG_ABOVE", "1"),
        ("TRACKSIDE_MONITOR__BACKLOG_CLEAR", "1"),
        ("TRACKSIDE_MONITOR__WEBHOOK_URL_FILE", &url.to_string_lossy()),
        ("TRACKSIDE_MONITOR__WEBHOOK_SECRET_FILE", &secret.to_string_lossy()),
    ];
    let watched = Service::start_with(&away, None, &watched).await?;
    let tasks = json!([{"kind": "k", "payload": 1}, {"kind": "k", "payload": 2}]);
    let (status, answer) = watched.post("/v1/queues/exports/tasks", tasks).await?;
    assert_eq!(status, 202, "{answer}");

    let arrived = || async {
        desk.get("/v1/queues/exports").await.is_ok_and(|(_, queue)| queue["created"].as_u64().is_some_and(|n| n > 0))
    };
    eventually(arrived, PATIENCE).await;
    let (_, leased) = desk.post("/v1/queues/exports/lease", json!({"worker_id": "w", "max_tasks": 2})).await?;
    let tasks = leased["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let [task] = tasks else { anyhow::bail!("one alert: {leased}\n{}", watched.log()) };
    let alert = &task["payload"]["body"];
    assert_eq!((&alert["rule"], &alert["event"], &alert["value"]), (&json!("backlog"), &json!("firing"), &json!(2.0)));
    assert_eq!((&task["payload"]["delivery"], &task["payload"]["event"]), (&alert["alert_id"], &json!("alert")));
    let log = watched.log();
    assert!(!log.contains("hunter2") && !log.contains("a long random secret"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_cache_that_misses_alerts_where_queues_do_and_is_well_again_when_it_hits() -> anyhow::Result<()> {
    let server = RedisServer::start().await?;
    let home = Home::new()?;
    let settings = [
        ("TRACKSIDE_WORKER__ENABLED", "false"),
        ("TRACKSIDE_MONITOR__EVERY_MS", "100"),
        ("TRACKSIDE_CACHE__NAMESPACE__PAGE__HIT_RATIO_BELOW", "0.5"),
        ("TRACKSIDE_CACHE__NAMESPACE__PAGE__HIT_RATIO_READS", "10"),
    ];
    let service = Service::start_with(&home, Some(&server.url()), &settings).await?;
    let (status, _) = service.put("/v1/cache/page/there", json!("1")).await?;
    assert_eq!(status, 201);
    let first = async |state: &str| service.get("/v1/alerts").await.ok().and_then(|(_, it)| it[state].get(0).cloned());
    let missed = || async {
        service.get("/v1/cache/page/missing").await.ok()?;
        first("firing").await
    };
    let fired = eventually(missed, PATIENCE).await;
    assert_eq!(
        (&fired["namespace"], &fired["rule"], &fired["queue"]),
        (&json!("page"), &json!("hit_ratio"), &json!(null))
    );
    let metrics = service.open("/metrics", &[]).await?.text().await?;
    assert!(metrics.contains("trackside_cache_alert{"), "{metrics}");
    let hit = || async {
        service.get("/v1/cache/page/there").await.ok()?;
        first("recent").await
    };
    let resolved = eventually(hit, PATIENCE).await;
    assert_eq!((&resolved["since"], &resolved["process"]), (&fired["since"], &fired["process"]));
    assert!(service.log().contains("hit_ratio is"), "{}", service.log());
    Ok(())
}
