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

/// The words of a line as a shell reads them, up to a comment; `$ID` is the task's id.
fn words<'a>(line: &'a str, id: &'a str) -> Vec<&'a str> {
    let line = line.split("  #").next().unwrap_or_default();
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        1 => vec![part],
        _ => part.split_whitespace().map(|word| if word == "$ID" { id } else { word }).collect(),
    });
    words.collect()
}

#[tokio::test]
async fn the_documented_commands_work_as_documented() -> anyhow::Result<()> {
    let page = include_str!("../../../../docs/redis-cli.md");
    let redis = RedisServer::start().await?;
    let home = Home::new()?;
    let api = Service::start_with(&home, Some(&redis.url()), &[("TRACKSIDE_WORKER__ENABLED", "false")]).await?;
    let tasks: Vec<_> = (0..4).map(|n| json!({"kind": "k", "payload": {"n": n}})).collect();
    api.post("/v1/queues/enhancement/tasks", json!(tasks)).await?;
    api.post("/v1/queues/enhancement/lease", json!({"worker_id": "w", "max_tasks": 1})).await?;
    let mut answers = std::collections::BTreeMap::new();
    let id = redis.cli(&["LINDEX", "enhancement:queue", "-1"]);
    for line in page.lines().filter_map(|line| line.strip_prefix("redis-cli ")) {
        let words = words(line, id.trim());
        let answer = redis.try_cli(&words).map_err(|error| anyhow::anyhow!("{line}: {error:#}"))?;
        answers.insert(words.join(" "), answer.trim().to_owned());
    }
    let answer = |command: &str| answers.get(command).map(String::as_str);
    assert_eq!(answer("LLEN enhancement:queue"), Some("3"));
    assert_eq!(answer("ZCARD {enhancement:queue}:lease"), Some("1"));
    assert_eq!(answer("HLEN {enhancement:queue}:tasks"), Some("4"));
    let record = answer(&format!("HGET {{enhancement:queue}}:tasks {}", id.trim())).unwrap_or_default();
    assert!(record.ends_with("{\"n\":1}"), "{record}");
    let bytes = answer("MEMORY USAGE {enhancement:queue}:tasks SAMPLES 5").unwrap_or_default();
    assert!(bytes.parse::<u64>()? > 0);
    let (_, leased) = api.post("/v1/queues/enhancement/lease", json!({"worker_id": "w", "max_tasks": 9})).await?;
    assert_eq!(leased["tasks"][3]["kind"], "resize", "the pushed element is a task: {leased}");
    assert_eq!(leased["tasks"][3]["user_id"], "ada");
    Ok(())
}
