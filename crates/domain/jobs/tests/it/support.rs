//! A folder of throw-away tools, and whether their processes still live.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use trackside_core::{CorrelationId, QueueName, TaskId};
use trackside_jobs::{Run, RunEvent, RunReport, Runner, RunnerConfig, Tool, ToolRegistry};

/// As long as a loaded machine may take.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Tools that are shell scripts, and a runner with folders of its own.
pub(crate) struct Workshop {
    pub(crate) folder: TempDir,
    pub(crate) config: RunnerConfig,
}

impl Workshop {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("tools"))?;
        let mut config = RunnerConfig::new(folder.path());
        config.grace = Duration::from_secs(1);
        Ok(Self { folder, config })
    }

    pub(crate) fn tools(&self) -> std::path::PathBuf {
        self.folder.path().join("tools")
    }

    /// Writes a tool that runs `script` with `sh`; `more` is further lines of its manifest.
    pub(crate) fn add(&self, name: &str, script: &str, more: &str) -> Result<()> {
        std::fs::write(self.tools().join(format!("{name}.sh")), script)?;
        let manifest = format!("name = \"{name}\"\ncommand = [\"sh\", \"{name}.sh\"]\n{more}");
        std::fs::write(self.tools().join(format!("{name}.toml")), manifest)?;
        Ok(())
    }

    pub(crate) fn tool(&self, script: &str, more: &str) -> Result<Arc<Tool>> {
        self.add("tool", script, more)?;
        Ok(ToolRegistry::load(self.tools())?.get("tool")?)
    }

    /// Runs a tool to its end.
    pub(crate) async fn run(&self, tool: &Tool, params: Value) -> Result<Finished> {
        self.run_as(job_id(), tool, params, std::future::pending()).await
    }

    pub(crate) async fn run_as(
        &self,
        job_id: TaskId,
        tool: &Tool,
        params: Value,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Finished> {
        self.run_nth(1, job_id, tool, params, stop).await
    }

    pub(crate) async fn run_nth(
        &self,
        run: u64,
        job_id: TaskId,
        tool: &Tool,
        params: Value,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Finished> {
        let (sender, mut receiver) = mpsc::channel(64);
        let params = tool.validate(params)?;
        let (correlation_id, traceparent) = ("request-7".parse::<CorrelationId>()?, TRACEPARENT.parse()?);
        let run = Run {
            job_id,
            run,
            tool,
            params: &params,
            correlation_id: &correlation_id,
            traceparent: Some(&traceparent),
        };
        let runner = Runner::new(self.config.clone());
        let collect = async {
            let mut events = Vec::new();
            while let Some(event) = receiver.recv().await {
                events.push(event);
            }
            events
        };
        let (report, events) = tokio::join!(runner.run(run, stop, sender), collect);
        Ok(Finished { job_id, report: report?, events })
    }
}

pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A run that is over.
pub(crate) struct Finished {
    pub(crate) job_id: TaskId,
    pub(crate) report: RunReport,
    pub(crate) events: Vec<RunEvent>,
}

impl Finished {
    pub(crate) fn logs(&self) -> Vec<&str> {
        let line = |event: &'_ RunEvent| matches!(event, RunEvent::Log { .. });
        self.events.iter().filter(|event| line(event)).map(text).collect()
    }

    pub(crate) fn error(&self) -> &str {
        match &self.report.end {
            trackside_jobs::RunEnd::Failed { error } => error,
            other => panic!("it ended as {other:?}"),
        }
    }
}

fn text(event: &RunEvent) -> &str {
    match event {
        RunEvent::Log { line, .. } => line,
        RunEvent::Progress { message, .. } => message.as_deref().unwrap_or_default(),
    }
}

pub(crate) fn queue() -> QueueName {
    "agent_tasks".parse().expect("a valid name")
}

pub(crate) fn job_id() -> TaskId {
    TaskId::generate(&queue())
}

/// Whether a process is there and not merely waiting to be reaped by its parent.
pub(crate) fn is_alive(process: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    // The state follows the name, which stands in parentheses and may hold any character.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Process ids that tools write into a file, one per line; waits until there are `count`.
pub(crate) async fn processes(file: &Path, count: usize) -> Vec<i32> {
    let read = || async {
        let text = std::fs::read_to_string(file).context("not written yet")?;
        let complete = text.ends_with('\n').then(|| text.lines().map(str::parse::<i32>).collect::<Result<Vec<_>, _>>());
        let ids = complete.context("half a line")??;
        anyhow::ensure!(ids.len() >= count, "{} of {count}", ids.len());
        Ok::<_, anyhow::Error>(ids)
    };
    trackside_testkit::eventually(read, SOON).await
}

pub(crate) async fn all_gone(processes: &[i32]) {
    trackside_testkit::eventually(|| async { processes.iter().all(|id| !is_alive(*id)) }, SOON).await;
}

pub(crate) fn none() -> Value {
    json!({})
}
