//! Nothing is lost, whatever is killed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use trackside_testkit::{Fsync, RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

/// Waits until every job is completed by the history's account.
async fn all_completed(service: &Service, ids: &[String]) {
    for id in ids {
        eventually(|| async { service.job_status(id).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    }
}

#[tokio::test]
async fn a_killed_server_loses_no_job_and_repeats_only_those_that_ran() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let short = [("TRACKSIDE_QUEUE__LEASE_MS", "2000"), ("TRACKSIDE_QUEUE__RENEW_EVERY_MS", "500")];
    let service = Service::start_with(&home, Some(&redis.url()), &short).await?;

    let journal = home.journal().display().to_string();
    let mut ids = Vec::new();
    for n in 0..54 {
        // The first four hold every slot until the server is killed; a repeated run is quick because the file exists.
        let params = if n < 4 {
            json!({"steps": 1, "pause": "3", "journal": journal})
        } else {
            json!({"steps": 1, "journal": journal})
        };
        ids.push(service.run(json!({"tool": "count", "params": params})).await?);
    }
    eventually(|| async { home.journal_lines("start").len() == 4 }, PATIENCE).await;
    service.kill9().await?;

    let service = Service::start_with(&home, Some(&redis.url()), &short).await?;
    all_completed(&service, &ids).await;
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for words in home.journal_lines("start") {
        *runs.entry(words[1].clone()).or_default() += 1;
    }
    assert_eq!(
        runs.keys().cloned().collect::<BTreeSet<_>>(),
        ids.iter().cloned().collect(),
        "none lost, none invented"
    );
    let twice: Vec<&String> = runs.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id).collect();
    assert!(twice.len() <= 4 && twice.iter().all(|id| ids[..4].contains(id)), "only the four that ran: {twice:?}");
    Ok(())
}

#[tokio::test]
async fn a_killed_redis_loses_no_queued_job() -> anyhow::Result<()> {
    let redis = RedisServer::builder().appendonly(Fsync::EverySec).start().await?;
    let home = Home::new()?;
    let api = Service::start_with(&home, Some(&redis.url()), &[("TRACKSIDE_WORKER__ENABLED", "false")]).await?;
    let queued: Vec<_> = (0..1_000).map(|n| json!({"kind": "test", "payload": {"n": n}})).collect();
    let mut ids = Vec::new();
    for batch in queued.chunks(250) {
        let (status, answer) = api.post("/v1/queues/exports/tasks", json!(batch)).await?;
        assert_eq!(status, 202, "{answer}");
        ids.extend(
            answer["tasks"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|task| task["task_id"].as_str().map(str::to_owned)),
        );
    }
    assert_eq!(ids.len(), 1_000);

    redis.kill9();
    redis.restart().await?;
    // Half of them are leased and acknowledged over REST, as a worker in any language does it; then Redis dies again.
    let mut done = BTreeSet::new();
    while done.len() < 1_000 {
        let lease = json!({"worker_id": "w1", "max_tasks": 100, "lease_ms": 30_000, "wait_ms": 1_000});
        let Ok((200, leased)) = api.post("/v1/queues/exports/lease", lease).await else { continue };
        for task in leased["tasks"].as_array().into_iter().flatten() {
            let id = task["task_id"].as_str().unwrap_or_default().to_owned();
            let (status, answer) = api.post(&format!("/v1/tasks/{id}/ack"), json!({"fence": task["fence"]})).await?;
            assert_eq!(status, 200, "{answer}");
            done.insert(id);
        }
    }
    assert_eq!(done, ids.into_iter().collect(), "every task that was accepted was done");
    Ok(())
}

#[tokio::test]
async fn a_stopping_server_gives_its_tasks_back() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let quick = [("TRACKSIDE_SERVER__DRAIN_MS", "100")];
    let service = Service::start_with(&home, Some(&redis.url()), &quick).await?;
    let params = json!({"steps": 1, "pause": "30", "journal": home.journal()});
    let id = service.run(json!({"tool": "count", "params": params})).await?;
    eventually(|| async { !home.journal_lines("start").is_empty() }, PATIENCE).await;
    let (status, log) = service.terminate().await?;
    assert!(status.success(), "{log}");
    assert_eq!(redis.cli(&["LLEN", "agent_tasks:queue"]).trim(), "1", "the task waits for the next worker: {log}");

    let service = Service::start_with(&home, Some(&redis.url()), &[("TRACKSIDE_WORKER__ENABLED", "false")]).await?;
    let (_, task) = service.get(&format!("/v1/tasks/{id}")).await?;
    assert_eq!(task["status"], "queued", "{task}");
    Ok(())
}
