//! A program of the comparison, ready to run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::system::System;
use crate::command;

/// How long a worker may take to stop when it is told to.
const STOP: Duration = Duration::from_secs(20);

/// A system whose program is installed.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) system: &'static System,
    /// The program, and words that come before ours.
    words: Vec<OsString>,
    /// Where it runs.
    folder: PathBuf,
}

/// A worker process; stopped when dropped.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    process: Child,
}

// === impl Program ===

impl Program {
    pub(crate) fn new(system: &'static System, words: Vec<OsString>, folder: PathBuf) -> Self {
        Self { system, words, folder }
    }

    /// What it is made of, by name.
    pub(crate) fn versions(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let answer = self.answer(None, &["versions"])?;
        serde_json::from_value(answer).with_context(|| format!("the versions of {}", self.system.name))
    }

    /// Runs it to its end, against a server when it needs one, and reads the line of JSON that it prints last.
    pub(crate) fn answer(&self, url: Option<&str>, arguments: &[&str]) -> anyhow::Result<Value> {
        let what = format!("{} {}", self.system.name, arguments.join(" "));
        let mut command = self.command(url, arguments)?;
        let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("{what}: cannot start"))?;
        if !output.status.success() {
            bail!("{what}: {}", output.status);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next_back().with_context(|| format!("{what}: it printed nothing"))?;
        serde_json::from_str(line).with_context(|| format!("{what}: {line}"))
    }

    /// Starts a worker with so many places.
    pub(crate) fn work(&self, url: &str, concurrency: usize) -> anyhow::Result<WorkerProcess> {
        let mut command = self.command(Some(url), &["work", &concurrency.to_string()])?;
        let process = command.stdout(Stdio::null()).spawn();
        let process = process.with_context(|| format!("{}: its worker cannot start", self.system.name))?;
        Ok(WorkerProcess { process })
    }

    fn command(&self, url: Option<&str>, arguments: &[&str]) -> anyhow::Result<Command> {
        let Some((program, first)) = self.words.split_first() else { bail!("{} has no program", self.system.name) };
        let mut command = Command::new(program);
        command.args(first).args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.envs(url.map(|url| ("PEERS_REDIS_URL", url)));
        Ok(command)
    }
}

// === impl WorkerProcess ===

impl WorkerProcess {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// An error when it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("the worker ended by itself: {status}"),
            None => Ok(()),
        }
    }

    /// Tells it to stop, as a supervisor would, and waits.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let told = command::answer("kill", &["-TERM", &self.process.id().to_string()]);
        told.context("the worker cannot be told to stop")?;
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            command::pause(Duration::from_millis(20));
        }
        bail!("the worker did not stop within {} s", STOP.as_secs())
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
