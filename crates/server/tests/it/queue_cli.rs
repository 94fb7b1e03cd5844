//! `trackside queue …`, over a running service and straight on Redis.

use std::process::Stdio;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};
use trackside_testkit::RedisServer;

use crate::{
    service::{Home, Service, trackside},
    tls,
};

/// What a command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The places where the same commands must do the same.
struct Place {
    home: Home,
    /// What names the place on the command line.
    reach: [String; 2],
    _service: Option<Service>,
    _redis: Option<RedisServer>,
}

const NO_WORKER: [(&str, &str); 1] = [("TRACKSIDE_WORKER__ENABLED", "false")];

// === impl Place ===

impl Place {
    async fn running_service() -> anyhow::Result<Self> {
        let home = Home::new()?;
        let service = Service::start_with(&home, None, &NO_WORKER).await?;
        let reach = ["--url".to_owned(), service.url.clone()];
        Ok(Self { home, reach, _service: Some(service), _redis: None })
    }

    async fn plain_redis() -> anyhow::Result<Self> {
        let redis = RedisServer::start().await?;
        let reach = ["--redis-url".to_owned(), redis.url()];
        Ok(Self { home: Home::new()?, reach, _service: None, _redis: Some(redis) })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = trackside();
        command.current_dir(self.home.path()).arg("queue").args(words).args(&self.reach);
        command
    }

    async fn run(&self, words: &[&str]) -> anyhow::Result<Ran> {
        ran(self.command(words)).await
    }

    /// Standard output of a command that succeeds.
    async fn out(&self, words: &[&str]) -> anyhow::Result<String> {
        let ran = self.run(words).await?;
        anyhow::ensure!(ran.code == Some(0), "{words:?}: {}{}", ran.out, ran.err);
        Ok(ran.out)
    }

    async fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        Ok(serde_json::from_str(&self.out(&words).await?)?)
    }

    /// A command that reads this.
    async fn fed(&self, words: &[&str], input: String) -> anyhow::Result<Ran> {
        let mut child =
            self.command(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("the child has no standard input")?;
        let writer = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await.ok() });
        let output = child.wait_with_output().await?;
        writer.await?;
        Ok(Ran::of(&output))
    }
}

async fn ran(mut command: Command) -> anyhow::Result<Ran> {
    Ok(Ran::of(&command.output().await?))
}

impl Ran {
    fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Pushes, looks, pauses, and looks after dead letters.
async fn a_day_with(place: &Place) -> anyhow::Result<()> {
    let one = place.out(&["push", "letters", r#"{"page": 1}"#, "--kind", "pdf", "--priority", "high"]).await?;
    assert!(one.ends_with(" queued in letters\n"), "{one}");
    assert_eq!(place.out(&["push", "letters", "2", "3", "-k", "pdf"]).await?, "pushed 2 tasks to letters\n");

    let listed = place.out(&["ls"]).await?;
    let row: Vec<&str> =
        listed.lines().find(|line| line.starts_with("letters ")).unwrap_or_default().split_whitespace().collect();
    assert_eq!((row[1], row[8]), ("3", "running"), "{listed}");
    let heading = listed.lines().next().unwrap_or_default();
    assert!(heading.starts_with("QUEUE ") && heading.ends_with("STATE"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "no colours in a pipe");
    let shown = place.out(&["show", "letters"]).await?;
    assert!(shown.contains("ready      3  (critical 0, high 1, normal 2, low 0)"), "{shown}");
    assert_eq!(place.json(&["show", "letters"]).await?["depth"], 3);

    let next = place.out(&["peek", "letters", "-n", "2"]).await?;
    assert!(next.contains(r#"{"page": 1}"#) && next.lines().count() == 3, "{next}");
    assert_eq!(place.json(&["peek", "letters"]).await?["tasks"][2]["payload"], 3);

    assert_eq!(place.out(&["pause", "letters"]).await?, "letters is paused\n");
    assert_eq!(place.json(&["show", "letters"]).await?["paused"], true);
    assert_eq!(place.json(&["resume", "letters"]).await?["paused"], false);
    let audit = place.out(&["audit", "letters"]).await?;
    assert!(audit.ends_with("\nbalanced\n") && audit.contains("created             3\n"), "{audit}");
    assert_eq!(place.out(&["repair", "letters"]).await?, "repaired 0 places of letters\n");
    assert!(place.out(&["dead", "ls", "letters"]).await?.starts_with("TASK  KIND "));

    let unknown = place.run(&["show", "leters"]).await?;
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(1), ""));
    assert_eq!(unknown.err, "trackside: queue leters is unknown\n");
    Ok(())
}

#[tokio::test]
async fn queues_are_looked_after_through_a_running_service() -> anyhow::Result<()> {
    a_day_with(&Place::running_service().await?).await
}

#[tokio::test]
async fn queues_are_looked_after_straight_on_redis() -> anyhow::Result<()> {
    let place = Place::plain_redis().await?;
    a_day_with(&place).await?;
    assert!(!place.home.path().join("trackside-data").exists(), "a command leaves nothing behind");
    Ok(())
}

#[tokio::test]
async fn any_number_of_tasks_is_pushed_from_standard_input_and_files() -> anyhow::Result<()> {
    let place = Place::running_service().await?;
    let lines: String = (0..1_000).map(|n| format!("{n}\n")).collect();
    let ran = place.fed(&["push", "many", "-k", "n", "--idempotency-key", "import-7"], lines.clone()).await?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "pushed 1000 tasks to many\n"), "{}", ran.err);
    let file = place.home.path().join("lines");
    std::fs::write(&file, lines)?;
    let path = file.display().to_string();
    let again = place.out(&["push", "many", "-k", "n", "--idempotency-key", "import-7", "--file", &path]).await?;
    assert_eq!(again, "pushed 0 tasks to many, 1000 known already\n");
    let next = place.json(&["peek", "many", "-n", "256"]).await?;
    let payloads: Vec<u64> =
        next["tasks"].as_array().into_iter().flatten().filter_map(|task| task["payload"].as_u64()).collect();
    assert_eq!(payloads, (0..256).collect::<Vec<_>>(), "in their order");

    let exact = "{\"kind\": \"k\", \"payload\": 12345678901234567890123, \"tags\": [\"a\"]}\n\n";
    let ran = place.fed(&["push", "whole", "--tasks", "--json", "--file", "-"], exact.to_owned()).await?;
    let receipt: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(receipt["status"], "queued", "{}", ran.err);
    let peeked = place.out(&["peek", "whole", "--json"]).await?;
    assert!(peeked.contains("12345678901234567890123"), "the payload is kept as it is: {peeked}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_line_is_named_and_what_was_pushed_before_is_said() -> anyhow::Result<()> {
    let place = Place::running_service().await?;
    let lines: String = (1..=300).map(|n| if n == 299 { "{oops\n".to_owned() } else { format!("{n}\n") }).collect();
    let ran = place.fed(&["push", "many", "-k", "n"], lines).await?;
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "pushed 256 tasks to many, up to line 256\n");
    assert!(ran.err.starts_with("trackside: line 299: not JSON"), "{}", ran.err);

    let ran = place
        .fed(&["push", "many", "--tasks"], "{\"kind\": \"k\", \"payload\": 1}\n\n{\"knd\": \"k\"}\n".into())
        .await?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("line 3: knd: unknown field (did you mean kind?)"), "{}", ran.err);
    let ran = place.run(&["push", "many", "{oops", "-k", "n"]).await?;
    assert!(ran.err.starts_with("trackside: argument 1: not JSON"), "{}", ran.err);
    let ran = place.run(&["push", "many", "1"]).await?;
    assert_eq!(ran.code, Some(2), "a task needs a kind: {}", ran.err);
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_listed_requeued_and_purged() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &NO_WORKER).await?;
    let tasks: Vec<Value> = (0..300).map(|n| json!({"kind": "k", "payload": n})).collect();
    service.post("/v1/queues/exports/tasks", json!(tasks)).await?;
    let mut words = Vec::new();
    for _ in 0..2 {
        let (_, leased) = service.post("/v1/queues/exports/lease", json!({"worker_id": "w", "max_tasks": 150})).await?;
        words.extend(leased["tasks"].as_array().into_iter().flatten().map(|task| {
            let error = "on fire\u{1b}[31m, and then it went on for so long that nobody would want to read it all";
            let error = if task["payload"] == 7 { "out of paper & ink" } else { error };
            json!({"task_id": task["task_id"], "fence": task["fence"], "error": error, "retryable": false})
        }));
    }
    for words in words.chunks(256) {
        service.post("/v1/tasks/fail", json!({"tasks": words})).await?;
    }
    let url = service.url.clone();
    let place = Place { home, reach: ["--url".to_owned(), url], _service: Some(service), _redis: None };
    let listed = place.out(&["dead", "ls", "exports", "-n", "280"]).await?;
    assert_eq!(listed.lines().count(), 281, "page after page");
    assert!(listed.contains("on fire\\u{1b}[31m") && listed.contains('…'), "nothing moves the cursor");
    let all = place.json(&["dead", "ls", "exports", "--limit", "1000"]).await?;
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(300));

    let found = place.json(&["dead", "ls", "exports", "--reason", "Paper & ink", "--kind", "k"]).await?;
    assert_eq!(found["tasks"].as_array().map(Vec::len), Some(1), "{found}");
    let requeued = place.out(&["dead", "requeue", "exports", "--reason", "paper & ink"]).await?;
    assert_eq!(requeued, "requeued 1 task of exports\n");
    let all = place.json(&["dead", "ls", "exports", "--limit", "1000"]).await?;

    let ids: Vec<&str> =
        all["tasks"].as_array().into_iter().flatten().filter_map(|task| task["task_id"].as_str()).collect();
    let requeued = place.out(&["dead", "requeue", "exports", ids[0], ids[1]]).await?;
    assert_eq!(requeued, "requeued 2 tasks of exports\n");
    let shown = place.out(&["show", "exports"]).await?;
    assert!(shown.contains("workers    1  (150 places)\n"), "{shown}");
    let workers: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("WORKER ")).skip(1).collect();
    assert!(workers.len() == 1 && workers[0].starts_with("w          150       0  "), "{shown}");
    let purged = place.json(&["dead", "purge", "exports", ids[2]]).await?;
    assert_eq!(purged, json!({"purged": 1}));
    let ran = place.run(&["dead", "purge", "exports"]).await?;
    assert_eq!(ran.code, Some(2), "all of them must be said: {}", ran.err);
    let ran = place.run(&["dead", "purge", "exports", "--all", "--kind", "k"]).await?;
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert_eq!(place.out(&["dead", "purge", "exports", "--all"]).await?, "purged 296 dead letters of exports\n");
    assert_eq!(place.json(&["show", "exports"]).await?["depth"], 3);
    Ok(())
}

#[tokio::test]
async fn a_service_behind_tls_is_reached_when_its_authority_is_known() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &NO_WORKER).await?;
    let (url, authority) = tls::before(&service.url, home.path()).await?;
    let push = || {
        let mut command = trackside();
        command.current_dir(home.path()).args(["queue", "push", "letters", "1", "-k", "pdf", "--url", &url]);
        command
    };
    let mut known = push();
    known.env("SSL_CERT_FILE", &authority);
    let pushed = ran(known).await?;
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    assert!(pushed.out.ends_with(" queued in letters\n"), "{}", pushed.out);

    let unknown = ran(push()).await?;
    assert!(matches!(unknown.code, Some(69 | 78)), "refused, or no authorities on this system: {}", unknown.err);
    assert!(unknown.err.contains("certificate"), "{}", unknown.err);
    assert_eq!(service.get("/v1/queues/letters").await?.1["depth"], 1);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_apart_from_what_is_refused() -> anyhow::Result<()> {
    let home = Home::new()?;
    let mut nobody = trackside();
    nobody.current_dir(home.path()).args(["queue", "ls"]).env("TRACKSIDE_URL", "http://127.0.0.1:1");
    let ended = ran(nobody).await?;
    assert_eq!(ended.code, Some(69));
    assert!(ended.err.contains("http://127.0.0.1:1") && ended.err.contains("trackside serve"), "{}", ended.err);

    let mut no_redis = trackside();
    no_redis.current_dir(home.path()).args(["queue", "ls", "--redis-url", "redis://:hunter2@127.0.0.1:1"]);
    let ended = ran(no_redis).await?;
    assert_eq!(ended.code, Some(69), "{}", ended.err);
    assert!(!ended.err.contains("hunter2"), "{}", ended.err);

    let mut wrong = trackside();
    wrong.current_dir(home.path()).args(["queue", "ls", "--redis-url", "http://127.0.0.1:1"]);
    assert_eq!(ran(wrong).await?.code, Some(78));
    Ok(())
}
