//! The workers in other languages, as they stand in `examples/`, against the real program.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use trackside_testkit::{Fsync, RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

#[derive(Debug, Clone, Copy)]
enum Language {
    Python,
    Shell,
}

/// A running worker, killed when dropped.
struct Worker {
    child: Child,
    log: PathBuf,
}

/// The API alone: its own worker would take the tasks.
const NO_WORKER: (&str, &str) = ("TRACKSIDE_WORKER__ENABLED", "false");

impl Worker {
    /// Runs `sh -c script` for each task of `exports`; leases last 3 s, and a running task has 1 s at the end.
    fn start(language: Language, home: &Home, url: &str, script: &str) -> anyhow::Result<Self> {
        let mut command = match language {
            Language::Python => {
                let mut command = Command::new("python3");
                command.arg(example("worker.py")).args(["exports", "--url", url, "--lease-ms", "3000"]);
                command.args(["--wait-ms", "2000", "--drain-s", "1", "--", "sh", "-c", script]);
                command
            }
            Language::Shell => {
                let mut command = Command::new("sh");
                command.arg(example("worker.sh")).args(["-u", url, "-l", "3", "-w", "2", "-d", "1"]);
                command.args(["exports", "sh", "-c", script]);
                command
            }
        };
        let log = home.path().join("worker.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        command.env("JOURNAL", home.journal()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, log })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn kill9(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn terminate(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let pid = self.child.id().context("the worker has ended already")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the worker did not end")??;
        Ok((status, self.log()))
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

async fn enqueue(service: &Service, tasks: Value) -> anyhow::Result<Vec<String>> {
    let (status, answer) = service.post("/v1/queues/exports/tasks", tasks).await?;
    anyhow::ensure!(status == 202, "{answer}");
    let ids = answer["tasks"].as_array().into_iter().flatten().filter_map(|task| task["task_id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

async fn task(service: &Service, id: &str) -> Value {
    service.get(&format!("/v1/tasks/{id}")).await.map_or(Value::Null, |(_, task)| task)
}

async fn reaches(service: &Service, id: &str, status: &str) {
    eventually(|| async { task(service, id).await["status"] == status }, PATIENCE).await;
}

/// Tests of the worker in each language.
macro_rules! in_each_language {
    ($($test:ident)*) => {
        in_each_language! { @with python Python $($test)* }
        in_each_language! { @with shell Shell $($test)* }
    };
    (@with $module:ident $language:ident $($test:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() -> anyhow::Result<()> {
                    super::$test(super::Language::$language).await
                }
            )*
        }
    };
}

in_each_language! {
    a_worker_works_off_a_queue
    a_killed_worker_loses_nothing
    a_worker_that_ends_gives_back_what_it_holds
    orders_reach_the_command_of_a_worker
    a_worker_waits_for_an_outage_to_end
}

async fn a_worker_works_off_a_queue(language: Language) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[NO_WORKER]).await?;
    let odd = json!({"fence": 7, "text": "a \"quoted\" \\ \n line, {[: ü"});
    let tasks: Vec<Value> = (0..20).map(|n| json!({"kind": "echo", "payload": {"n": n, "odd": odd}})).collect();
    let echoed = enqueue(&service, json!(tasks)).await?;
    let others = json!([
        {"kind": "text", "payload": null}, {"kind": "quiet", "payload": 1}, {"kind": "hopeless", "payload": 1},
        {"kind": "flaky", "payload": 1, "backoff": {"type": "fixed", "delay_ms": 1}},
    ]);
    let others = enqueue(&service, others).await?;
    let script = r#"
        case $TRACKSIDE_TASK_KIND in
          echo) cat ;;
          text) echo 'no "JSON"' ;;
          quiet) ;;
          hopeless) echo 'no "paper"' >&2; exit 65 ;;
          flaky) [ "$TRACKSIDE_TASK_ATTEMPT" = 2 ] || exit 1 ;;
        esac"#;
    let worker = Worker::start(language, &home, &service.url, script)?;
    for (n, id) in echoed.iter().enumerate() {
        reaches(&service, id, "completed").await;
        assert_eq!(task(&service, id).await["result"], json!({"n": n, "odd": odd}));
    }
    for at in [0, 1, 3] {
        reaches(&service, &others[at], "completed").await;
    }
    assert_eq!(task(&service, &others[3]).await["attempts"], 2);
    assert_eq!(task(&service, &others[0]).await["result"], "no \"JSON\"");
    let quiet = task(&service, &others[1]).await;
    assert_eq!((&quiet["status"], &quiet["result"]), (&json!("completed"), &Value::Null));
    reaches(&service, &others[2], "dead").await;
    let dead = task(&service, &others[2]).await;
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("no \"paper\"")), "{dead}");

    let (status, log) = worker.terminate().await?;
    assert!(status.success(), "an idle worker ends at once: {log}");
    let metrics = service.open("/metrics", &[]).await?.text().await?;
    let measured = |name: &str, words: &[&str], count: &str| {
        let is_it = |line: &&str| line.starts_with(name) && words.iter().all(|word| line.contains(word));
        let found = metrics.lines().find(is_it).is_some_and(|line| line.ends_with(count));
        assert!(found, "{name} {words:?} {count}: {metrics}");
    };
    measured("trackside_tasks_finished_total", &["task=\"echo\"", "state=\"completed\""], " 20");
    measured("trackside_tasks_finished_total", &["task=\"flaky\"", "state=\"failed\""], " 1");
    measured("trackside_task_duration_seconds_count", &["queue=\"exports\"", "task=\"flaky\""], " 2");
    measured("messaging_process_duration_seconds_count", &["error_type=\"handler_error\""], " 2");
    measured("trackside_queue_failures_total", &["queue=\"exports\"", "event=\"retried\""], " 1");
    Ok(())
}

/// Killed without a goodbye in the middle of a task: another worker has it when the lease is over.
async fn a_killed_worker_loses_nothing(language: Language) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[NO_WORKER]).await?;
    let id = enqueue(&service, json!([{"kind": "k", "payload": 1}])).await?.remove(0);
    let hangs = r#"echo "start $$" >> "$JOURNAL"; exec sleep 60"#;
    let worker = Worker::start(language, &home, &service.url, hangs)?;
    eventually(|| async { !home.journal_lines("start").is_empty() }, PATIENCE).await;
    worker.kill9().await?;
    let worker = Worker::start(language, &home, &service.url, "echo 7")?;
    reaches(&service, &id, "completed").await;
    assert_eq!(task(&service, &id).await["result"], 7);
    assert_eq!(home.journal_lines("start").len(), 1);
    worker.terminate().await?;
    for words in home.journal_lines("start") {
        // Python's own group outlives it; the shell's keeper sees to its command.
        kill(Pid::from_raw(words[1].parse()?), Signal::SIGKILL).ok();
    }
    Ok(())
}

/// Told to end in the middle of a task: the task is given back, without costing an attempt.
async fn a_worker_that_ends_gives_back_what_it_holds(language: Language) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[NO_WORKER]).await?;
    let id = enqueue(&service, json!([{"kind": "k", "payload": 1}])).await?.remove(0);
    let hangs = r#"echo "start $$" >> "$JOURNAL"; exec sleep 60"#;
    let worker = Worker::start(language, &home, &service.url, hangs)?;
    eventually(|| async { !home.journal_lines("start").is_empty() }, PATIENCE).await;
    let (status, log) = worker.terminate().await?;
    assert!(status.success(), "{log}");
    let back = task(&service, &id).await;
    assert_eq!((&back["status"], &back["attempts"]), (&json!("queued"), &json!(0)), "{log}");
    let (_, queue) = service.get("/v1/queues/exports").await?;
    assert_eq!((&queue["depth"], &queue["active"]), (&json!(1), &json!(0)), "{queue}");
    Ok(())
}

/// A task that is called off while its command runs; a user's brake, and its release.
async fn orders_reach_the_command_of_a_worker(language: Language) -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[NO_WORKER]).await?;
    let script = r#"echo "start $$" >> "$JOURNAL"; [ -e "$JOURNAL.quick" ] || exec sleep 60"#;
    let worker = Worker::start(language, &home, &service.url, script)?;
    let called_off = enqueue(&service, json!([{"kind": "k", "payload": 1}])).await?.remove(0);
    eventually(|| async { home.journal_lines("start").len() == 1 }, PATIENCE).await;
    service.delete(&format!("/v1/tasks/{called_off}")).await?;
    reaches(&service, &called_off, "cancelled").await;

    let braked = enqueue(&service, json!([{"kind": "k", "payload": 1, "user_id": "ada"}])).await?.remove(0);
    eventually(|| async { home.journal_lines("start").len() == 2 }, PATIENCE).await;
    std::fs::write(home.path().join("journal.quick"), "")?;
    service.post("/v1/agents/ada/pause", json!({})).await?;
    reaches(&service, &braked, "parked").await;
    service.post("/v1/agents/ada/resume", json!({})).await?;
    reaches(&service, &braked, "completed").await;
    assert_eq!(task(&service, &braked).await["attempts"], 1, "the brake costs no attempt");
    worker.terminate().await?;
    Ok(())
}

/// With Redis away the workers wait, and go on by themselves.
async fn a_worker_waits_for_an_outage_to_end(language: Language) -> anyhow::Result<()> {
    let redis = RedisServer::builder().appendonly(Fsync::EverySec).start().await?;
    let home = Home::new()?;
    let service = Service::start_with(&home, Some(&redis.url()), &[NO_WORKER]).await?;
    let ids = enqueue(&service, json!([{"kind": "k", "payload": 1}, {"kind": "k", "payload": 2}])).await?;
    redis.kill9();
    let worker = Worker::start(language, &home, &service.url, "cat")?;
    eventually(|| async { worker.log().contains("trying again") }, PATIENCE).await;
    redis.restart().await?;
    for id in &ids {
        reaches(&service, id, "completed").await;
    }
    eventually(|| async { worker.log().contains("the service is back") }, PATIENCE).await;
    worker.terminate().await?;
    Ok(())
}

const HANDLERS: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
from trackside_worker import Permanent, Worker

worker = Worker("exports", sys.argv[2], concurrency=8, lease_ms=3000, wait_ms=2000)

@worker.on("steps")
def steps(task):
    for step in range(4):
        task.check()
        task.progress(percent=25 * step, message=f"step {step}")
    return {"steps": 4}

@worker.on("flow")
def flow(task):
    first = task.enqueue("steps", 1, user_id="u-1")
    task.enqueue("last", {}, depends_on=[first], queue="other")
    return first

@worker.on("nan")
def nan(task):
    return float("nan")

@worker.on("huge")
def huge(task):
    return "x" * 1_000_000

@worker.on("chain")
def chain(task):
    try:
        {}["paper"]
    except KeyError as error:
        raise Permanent("no paper") from error

worker.run()
"#;

#[tokio::test]
async fn python_functions_report_progress_and_their_errors() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[NO_WORKER]).await?;
    let kinds = ["steps", "nan", "huge", "chain", "nobody"];
    let tasks: Vec<Value> = kinds.iter().map(|kind| json!({"kind": kind, "payload": 1, "max_attempts": 1})).collect();
    let ids = enqueue(&service, json!(tasks)).await?;
    let program = home.path().join("handlers.py");
    std::fs::write(&program, HANDLERS)?;
    let mut command = Command::new("python3");
    command.arg(&program).arg(example("")).arg(&service.url).env("PYTHONDONTWRITEBYTECODE", "1");
    let _worker = command.stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    reaches(&service, &ids[0], "completed").await;
    let (_, progress) = service.get(&format!("/v1/progress/{}", ids[0])).await?;
    assert_eq!((&progress["percent"], &progress["status"]), (&json!(100.0), &json!("completed")), "{progress}");
    let flow = enqueue(&service, json!([{"kind": "flow", "payload": 1}])).await?.remove(0);
    reaches(&service, &flow, "completed").await;
    // In another queue, and after the one of this queue that it waits for.
    let next_of_other =
        || async { service.get("/v1/queues/other/tasks").await.map(|(_, next)| next).unwrap_or_default() };
    eventually(|| async { next_of_other().await["tasks"][0]["kind"] == "last" }, PATIENCE).await;
    let reasons = ["Out of range float", "result refused", "no paper", "no handler"];
    for (id, reason) in ids[1..].iter().zip(reasons) {
        reaches(&service, id, "dead").await;
        let error = task(&service, id).await["error"].to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert_eq!(task(&service, &ids[3]).await["error_chain"], json!(["KeyError: 'paper'"]), "the cause as well");
    Ok(())
}
