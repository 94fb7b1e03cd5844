//! Runs one tool: a folder of its own, a process group of its own, and nothing left of it afterwards.
//!
//! # Invariants
//! - **R-I1** No process of a run is alive when [`Runner::run`] returns or its future is dropped, and none outlives
//!   this process even when that is killed with `-9` (`runner/group.rs` says how, and what the limits are).
//! - **R-I2** A tool is never blocked by what it prints: every byte is read, and what is over the limits is counted
//!   and left out.
//! - **R-I3** A tool sees the environment that is documented and nothing of the service's own.
//! - **R-I4** An output is a regular file inside the run's folder, whatever links the tool made.
//! - **R-I5** A tool's first instruction runs under its limits (`runner/limits.rs`).

mod folder;
mod group;
mod leftovers;
mod limits;
mod lines;
mod outputs;
mod pump;

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use trackside_core::{CorrelationId, TaskId, TraceParent};

pub use folder::JobFolders;
pub use limits::ResourceLimits;
pub use lines::LineLimits;
pub use outputs::{JobOutput, OutputLimits};

use crate::{Error, SearchPath, Tool};
use group::ProcessGroup;
use pump::Pump;
#[cfg(feature = "fuzzing")]
pub(crate) use pump::event as event_of_line;

/// After the processes of a run are gone their pipes are at their end; this bounds a surprise.
const DRAIN: Duration = Duration::from_secs(2);

/// How tools are run.
///
/// ```
/// use trackside_jobs::RunnerConfig;
/// let config = RunnerConfig::new("/var/lib/trackside");
/// assert_eq!(config.folders.root(), std::path::Path::new("/var/lib/trackside/jobs"));
/// ```
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// Where the folders of jobs are.
    pub folders: JobFolders,
    /// Where programs are looked for; also the `PATH` of every tool.
    pub search_path: SearchPath,
    /// Between `SIGTERM` and `SIGKILL`.
    pub grace: Duration,
    /// What may be printed.
    pub lines: LineLimits,
    /// What may be left behind.
    pub outputs: OutputLimits,
    /// What each process may use of the machine.
    pub limits: ResourceLimits,
}

/// Runs tools. Clones share nothing but settings.
#[derive(Debug, Clone)]
pub struct Runner {
    config: RunnerConfig,
}

/// One run of a tool.
#[derive(Debug)]
pub struct Run<'a> {
    /// The job.
    pub job_id: TaskId,
    /// Which run of the job this is; a repeated job has a higher number.
    pub run: u64,
    /// The tool.
    pub tool: &'a Tool,
    /// Its parameters, validated.
    pub params: &'a Map<String, Value>,
    /// The id that joins it to the request.
    pub correlation_id: &'a CorrelationId,
    /// The trace it belongs to.
    pub traceparent: Option<&'a TraceParent>,
}

/// What a running tool says.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// A line of standard output that is a JSON object with `progress` or `message`.
    Progress {
        /// 0 to 100.
        percent: Option<f32>,
        /// What it is doing.
        message: Option<String>,
    },
    /// Any other line of standard output, and every line of standard error.
    Log {
        /// Where it was printed.
        stream: Stream,
        /// The line, as text and bounded.
        line: String,
    },
}

/// Where a tool prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// It exited with 0 and its outputs are within the limits.
    Completed,
    /// Anything else that the tool did; the reason is fit for the job's owner.
    Failed {
        /// Why, with the end of standard error.
        error: String,
    },
    /// It was told to stop.
    Stopped,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// How it ended.
    pub end: RunEnd,
    /// The exit code, where it exited by itself.
    pub exit_code: Option<i32>,
    /// The files it left.
    pub outputs: Vec<JobOutput>,
}

enum Ended {
    Exited(ExitStatus),
    TimedOut,
    Stopped,
}

// === impl RunnerConfig ===

impl RunnerConfig {
    /// The defaults, with the folders of jobs in `<data folder>/jobs`.
    #[must_use]
    pub fn new(data_folder: impl AsRef<Path>) -> Self {
        Self {
            folders: JobFolders::new(data_folder.as_ref().join("jobs")),
            search_path: SearchPath::default(),
            grace: Duration::from_secs(2),
            lines: LineLimits::default(),
            outputs: OutputLimits::default(),
            limits: ResourceLimits::default(),
        }
    }
}

// === impl Runner ===

impl Runner {
    /// A runner with these settings.
    #[must_use]
    pub const fn new(config: RunnerConfig) -> Self {
        Self { config }
    }

    /// Its settings.
    #[must_use]
    pub const fn config(&self) -> &RunnerConfig {
        &self.config
    }

    /// Runs a tool until it ends, its time is over, or `stop` resolves. What it says goes to `events`; the caller
    /// reads them meanwhile.
    ///
    /// Dropping the future kills every process of the run at once.
    ///
    /// # Errors
    /// When the run's folder cannot be made or read. Whatever the tool does wrong is a [`RunEnd::Failed`].
    pub async fn run(
        &self,
        run: Run<'_>,
        stop: impl Future<Output = ()> + Send,
        events: mpsc::Sender<RunEvent>,
    ) -> Result<RunReport, Error> {
        let manifest = &run.tool.manifest;
        let Some(program) = manifest.command.find_program(&run.tool.folder, &self.config.search_path) else {
            let problem = manifest.problem(&run.tool.folder, &self.config.search_path).unwrap_or_default();
            return Ok(RunReport::failed(problem));
        };
        // A run of this job that a killed process left behind on this machine would write into the same names.
        leftovers::kill_earlier(run.job_id).await;
        let folder = self.config.folders.prepare(run.job_id, run.run).await?;
        let mut group = match ProcessGroup::start(self.config.grace, &self.config.search_path) {
            Ok(group) => group,
            Err(error) => return Ok(RunReport::failed(format!("cannot start a process group with /bin/sh: {error}"))),
        };
        let mut child = match self.command(&run, &program, &folder, &group).spawn() {
            Ok(child) => child,
            Err(error) => {
                group.kill().await;
                return Ok(RunReport::failed(format!("cannot start `{}`: {error}", program.display())));
            }
        };
        let pump = Pump::new(&mut child, self.config.lines, events);
        let (stdin, params) = (child.stdin.take(), Value::Object(run.params.clone()).to_string());
        let (drain, over) = (pump.stop_handle(), CancellationToken::new());
        let supervise = async {
            let ended = self.supervise(&mut child, manifest.timeout, stop, &mut group).await;
            leftovers::kill_own(run.job_id, &folder).await;
            // Nothing of the run is alive, but what escaped may hold the pipes open: they are given a bounded time.
            drain.stop_after(DRAIN);
            over.cancel();
            ended
        };
        let (ended, tail, _) =
            tokio::join!(supervise, pump.run(), over.run_until_cancelled(write_params(stdin, params)));
        let ended = ended.map_err(|source| Error::io("wait for", &program, source))?;
        self.report(&run, &folder, ended, &tail).await
    }

    fn command(&self, run: &Run<'_>, program: &Path, folder: &Path, group: &ProcessGroup) -> Command {
        let arguments = run.tool.manifest.command.resolved_arguments(&run.tool.folder, run.params);
        let mut command = self.config.limits.command(program, arguments);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", self.config.search_path.as_os_str())
            .env(leftovers::MARK, run.job_id.to_string())
            .env("TRACKSIDE_CORRELATION_ID", run.correlation_id.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(group.id())
            .kill_on_drop(true);
        if let Some(parent) = run.traceparent {
            command.env("TRACEPARENT", parent.as_str());
        }
        command
    }

    /// Waits for the end of the tool and sees to it that its whole group is gone.
    async fn supervise(
        &self,
        child: &mut Child,
        limit: Duration,
        stop: impl Future<Output = ()> + Send,
        group: &mut ProcessGroup,
    ) -> std::io::Result<Ended> {
        let ended = tokio::select! {
            biased;
            status = child.wait() => Ended::Exited(status?),
            () = stop => Ended::Stopped,
            () = tokio::time::sleep(limit) => Ended::TimedOut,
        };
        if !matches!(ended, Ended::Exited(_)) {
            group.terminate();
            // Whether it obeyed makes no difference: what remains of the group is killed next.
            let _obeyed = tokio::time::timeout(self.config.grace, child.wait()).await;
        }
        group.kill().await;
        child.wait().await?;
        Ok(ended)
    }

    async fn report(&self, run: &Run<'_>, folder: &Path, ended: Ended, tail: &str) -> Result<RunReport, Error> {
        let manifest = &run.tool.manifest;
        let with_tail = |reason: String| if tail.is_empty() { reason } else { format!("{reason}: {tail}") };
        let end = match &ended {
            Ended::Stopped => RunEnd::Stopped,
            Ended::TimedOut => {
                RunEnd::Failed { error: with_tail(format!("time limit of {} s exceeded", manifest.timeout.as_secs())) }
            }
            Ended::Exited(status) if status.success() => RunEnd::Completed,
            Ended::Exited(status) => RunEnd::Failed { error: with_tail(status.to_string()) },
        };
        let exit_code = if let Ended::Exited(status) = ended { status.code() } else { None };
        let (outputs, refused) = outputs::collect(folder, &manifest.outputs, self.config.outputs).await?;
        let end = match (end, refused.is_empty()) {
            (RunEnd::Completed, false) => RunEnd::Failed { error: outputs::refusal(&refused) },
            (end, _) => end,
        };
        Ok(RunReport { end, exit_code, outputs })
    }
}

// === impl RunReport ===

impl RunReport {
    fn failed(error: String) -> Self {
        Self { end: RunEnd::Failed { error }, exit_code: None, outputs: Vec::new() }
    }
}

/// Hands the parameters over and closes standard input, so that the tool sees its end.
async fn write_params(stdin: Option<tokio::process::ChildStdin>, params: String) {
    if let Some(mut stdin) = stdin {
        // A tool that takes its parameters from its arguments may have ended without reading them.
        if let Err(error) = stdin.write_all(params.as_bytes()).await {
            tracing::debug!(%error, "the tool did not read its parameters");
        }
    }
}

impl From<RunnerConfig> for Runner {
    fn from(config: RunnerConfig) -> Self {
        Self::new(config)
    }
}

/// The path of a run's folder below the root of all jobs.
pub(crate) fn run_folder(root: &Path, job_id: TaskId, run: u64) -> PathBuf {
    root.join(job_id.to_string()).join(format!("run-{run}"))
}
