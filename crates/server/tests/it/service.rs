//! A real `trackside` process, and a small HTTP client for it.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// How long anything may take on a loaded machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for one test: data directory and tools, removed at the end.
#[derive(Debug)]
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// A running service, killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    /// `http://127.0.0.1:port`
    pub(crate) url: String,
    /// Every log line so far.
    log: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
    http: reqwest::Client,
}

/// Counts to `{steps}`, a progress line each, pausing `{pause}` seconds between, and writes `count.txt`.
const COUNT_TOOL: &str = r#"
name = "count"
description = "Counts"
command = ["sh", "count.sh", "{steps}", "{pause}", "{journal}"]
timeout_s = 120
outputs = ["*.txt"]
[parameters]
type = "object"
properties.steps = { type = "integer", default = 5, minimum = 1 }
properties.pause = { type = "string", default = "0" }
properties.journal = { type = "string", default = "/dev/null" }
"#;

const COUNT_SCRIPT: &str = r#"
echo "start $TRACKSIDE_JOB_ID $$" >> "$3"
i=0
while [ "$i" -lt "$1" ]; do
  i=$((i + 1))
  echo "{\"progress\": $((i * 100 / $1)), \"message\": \"step $i\"}"
  sleep "$2"
done
echo "$1 counted" > count.txt
echo "end $TRACKSIDE_JOB_ID $$" >> "$3"
"#;

// === impl Home ===

impl Home {
    /// An empty data directory and the `count` tool.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let tools = folder.path().join("tools");
        std::fs::create_dir(&tools)?;
        std::fs::write(tools.join("count.toml"), COUNT_TOOL)?;
        std::fs::write(tools.join("count.sh"), COUNT_SCRIPT)?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file that jobs write a line to when they start and when they end.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The words of each journal line that begins with `event`.
    pub(crate) fn journal_lines(&self, event: &str) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.journal()).unwrap_or_default();
        let lines = text.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|words| words.first().is_some_and(|first| first == event)).collect()
    }
}

// === impl Service ===

impl Service {
    /// `trackside serve` on a free port with the home's data and tools, on Redis when a URL is given.
    pub(crate) async fn start(home: &Home, redis_url: Option<&str>) -> anyhow::Result<Self> {
        Self::start_with(home, redis_url, &[]).await
    }

    /// The same with more environment.
    pub(crate) async fn start_with(
        home: &Home,
        redis_url: Option<&str>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::start_program(&program(), home, redis_url, environment).await
    }

    /// The same with another build of the program.
    pub(crate) async fn start_program(
        program: &Path,
        home: &Home,
        redis_url: Option<&str>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = untouched(program);
        command.current_dir(home.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("TRACKSIDE_DATA_DIR", home.path().join("data"))
            .env("TRACKSIDE_TOOLS_DIR", home.path().join("tools"));
        if let Some(url) = redis_url {
            command.env("TRACKSIDE_REDIS_URL", url);
        }
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stderr = child.stderr.take().context("the child has no standard error")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, url) = oneshot::channel();
        let reader = tokio::spawn(read_log(BufReader::new(stderr), Arc::clone(&log), found));
        let url = match timeout(PATIENCE, url).await {
            Ok(Ok(url)) => url,
            _ => bail!("the service did not say where it listens:\n{}", lines(&log)),
        };
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { child, url, log, reader, http })
    }

    /// The whole log so far, for messages of failed tests.
    pub(crate) fn log(&self) -> String {
        lines(&self.log)
    }

    /// SIGKILL: no goodbye.
    pub(crate) async fn kill9(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        self.reader.abort();
        Ok(())
    }

    /// SIGSTOP or SIGCONT: the process stands still, or goes on without knowing that it did.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().context("the service has ended already")?;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let pid = self.child.id().context("the service has ended already")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the service did not end")??;
        timeout(PATIENCE, &mut self.reader).await.context("the log did not end")??;
        Ok((status, lines(&self.log)))
    }

    /// Status and JSON body of a GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        answer(self.http.get(format!("{}{path}", self.url)).send().await?).await
    }

    /// Status and JSON body of a POST.
    pub(crate) async fn post(&self, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        answer(self.http.post(format!("{}{path}", self.url)).json(&body).send().await?).await
    }

    /// Status and JSON body of a PUT.
    pub(crate) async fn put(&self, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        answer(self.http.put(format!("{}{path}", self.url)).json(&body).send().await?).await
    }

    /// Status and JSON body of a DELETE.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        answer(self.http.delete(format!("{}{path}", self.url)).send().await?).await
    }

    /// A response whose body is read by the caller.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<reqwest::Response> {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(request.send().await?)
    }

    /// Runs a tool and answers the job's id.
    pub(crate) async fn run(&self, body: Value) -> anyhow::Result<String> {
        let (status, receipt) = self.post("/api/run", body).await?;
        anyhow::ensure!(status == 202, "POST /api/run answered {status}: {receipt}");
        Ok(receipt["job_id"].as_str().context("no job_id")?.to_owned())
    }

    /// The status of a job.
    pub(crate) async fn job_status(&self, id: &str) -> anyhow::Result<String> {
        let (status, job) = self.get(&format!("/api/jobs/{id}")).await?;
        anyhow::ensure!(status == 200, "GET /api/jobs/{id} answered {status}: {job}");
        Ok(job["status"].as_str().context("no status")?.to_owned())
    }
}

/// The program under test.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_trackside").into()
}

/// The program under test, with nothing of the test's own environment that could change its settings.
pub(crate) fn trackside() -> Command {
    untouched(&program())
}

fn untouched(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name == "REDIS_URL" || name.starts_with("TRACKSIDE_") || name.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.env("TRACKSIDE_LOG_FORMAT", "json").stdin(Stdio::null());
    command
}

async fn answer(response: reqwest::Response) -> anyhow::Result<(u16, Value)> {
    let status = response.status().as_u16();
    let body = response.bytes().await?;
    let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
    Ok((status, json))
}

async fn read_log(
    stderr: BufReader<tokio::process::ChildStderr>,
    log: Arc<Mutex<Vec<String>>>,
    found: oneshot::Sender<String>,
) {
    let mut found = Some(found);
    let mut stderr = stderr.lines();
    while let Ok(Some(line)) = stderr.next_line().await {
        if let Some(url) = url_in(&line)
            && let Some(found) = found.take()
        {
            // The test may have given up waiting.
            found.send(url).ok();
        }
        if let Ok(mut log) = log.lock() {
            log.push(line);
        }
    }
}

/// The value of the field `http.url` of a JSON log line.
fn url_in(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.pointer("/fields/http.url").or_else(|| line.get("http.url")).and_then(Value::as_str).map(str::to_owned)
}

fn lines(log: &Mutex<Vec<String>>) -> String {
    log.lock().map(|log| log.join("\n")).unwrap_or_default()
}
