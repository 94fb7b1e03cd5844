//! Runs jobs: what a processor of the queue calls for each task that is one.

mod call;
mod report;

use std::{fmt, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::Instrument;
use trackside_core::{Clock, WorkerId};
use trackside_progress::ProgressTracker;
use trackside_queue::{ClaimedTask, StopReason, TaskContext, TaskFailure, TaskHandler};

use crate::{
    Config, Error, JobHistory, JobRecord, JobState, JobStatusStore, JobUpdates, Run, RunEnd, Runner, Tool,
    ToolRegistry, live::LiveJobs, metrics,
};
use call::ToolCall;
pub(crate) use report::Reporter;

/// The kind of a task that is a job; its payload is `{"tool", "params"}`.
pub const JOB_KIND: &str = "tool.run";

/// A tool that failed would fail again: it was given the same parameters. A worker's death is counted apart, and after
/// it the job runs again.
pub(crate) const JOB_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN;

/// Events of a tool that wait for their turn; then the tool's pipe fills, and then the tool waits.
const EVENTS: usize = 256;

/// Runs the tool that a task asks for. Made by [`JobService::handler`](crate::JobService::handler); cheap to clone.
///
/// For tasks of kind [`JOB_KIND`] it is *the* handler. As the fallback of a queue it also runs what any Redis client
/// pushes: `{"task": "word-index", "params": {…}}`, or with the parameters beside `task`.
#[derive(Clone)]
pub struct JobHandler {
    shared: Arc<Shared>,
}

/// What the service and its handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: ToolRegistry,
    pub(crate) runner: Runner,
    pub(crate) progress: ProgressTracker,
    pub(crate) history: Arc<dyn JobHistory>,
    pub(crate) status: Arc<dyn JobStatusStore>,
    pub(crate) updates: Arc<dyn JobUpdates>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) live: LiveJobs,
    pub(crate) config: Config,
    pub(crate) worker_id: WorkerId,
}

// === impl JobHandler ===

impl JobHandler {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn run(&self, task: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
        let shared = &self.shared;
        let call = ToolCall::read(task).map_err(TaskFailure::Permanent)?;
        // Whoever submits here announces the job before it may start.
        shared.live.announced(task.id).await;
        if let Some(done) = self.completed_before(task).await {
            return Ok(Some(done));
        }
        let record = call.record(task, &shared.worker_id, shared.clock.now());
        let (tool, params) = match shared.registry.get(&call.tool).and_then(|tool| with_params(tool, call.params)) {
            Ok(found) => found,
            // A kind that this handler does not know makes no job. It is tried again: during a rolling upgrade another
            // worker may know it.
            Err(error @ Error::UnknownTool { .. }) if !call.is_certain => return Err(TaskFailure::retryable(error)),
            Err(error) => {
                let mut reporter = Reporter::new(Arc::clone(shared), record);
                reporter.ended(JobState::Failed, Some(error.to_string())).await;
                return Err(TaskFailure::permanent(error));
            }
        };
        let record = JobRecord { params: Value::Object(params.clone()), ..record };
        self.run_tool(&tool, &params, record, task, context).await
    }

    async fn run_tool(
        &self,
        tool: &Tool,
        params: &Map<String, Value>,
        record: JobRecord,
        task: &ClaimedTask,
        context: &TaskContext,
    ) -> Result<Option<Bytes>, TaskFailure> {
        let begun = Instant::now();
        let live = self.shared.live.started(&record);
        let mut reporter = Reporter::new(Arc::clone(&self.shared), record).live(&live);
        reporter.started().await;
        metrics::started(&tool.manifest.name);
        let run = Run {
            job_id: task.id,
            run: task.fence.0,
            tool,
            params,
            correlation_id: &task.correlation_id,
            traceparent: task.traceparent.as_ref(),
        };
        let (sender, receiver) = mpsc::channel(EVENTS);
        let (report, ()) = tokio::join!(
            self.shared.runner.run(run, context.stopped(), sender),
            tell(&mut reporter, receiver, context)
        );
        let report = report.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a job could not be run");
            crate::RunReport { end: RunEnd::Failed { error: error.to_string() }, exit_code: None, outputs: Vec::new() }
        });
        reporter.record_mut().outputs = report.outputs;
        reporter.record_mut().exit_code = report.exit_code;
        let (state, error) = match report.end {
            RunEnd::Completed => (JobState::Completed, None),
            RunEnd::Failed { error } => (JobState::Failed, Some(error)),
            RunEnd::Stopped => match context.stop_reason() {
                Some(StopReason::Cancelled) => (JobState::Cancelled, Some("called off while it ran".to_owned())),
                Some(StopReason::Paused) => (JobState::Parked, None),
                Some(StopReason::TimedOut) => (JobState::Failed, Some("the time limit of the task is over".to_owned())),
                Some(StopReason::ShuttingDown) | None => (JobState::Queued, None),
                // Another worker has the job and says what becomes of it.
                Some(StopReason::LeaseLost) => return Err(TaskFailure::retryable("the lease is lost")),
            },
        };
        metrics::ended(&tool.manifest.name, state, begun.elapsed());
        reporter.ended(state, error.clone()).await;
        match state {
            JobState::Completed => Ok(Some(result(reporter.record()).to_string().into())),
            JobState::Failed => Err(TaskFailure::Permanent(error.unwrap_or_default())),
            _ => Err(TaskFailure::retryable("stopped")),
        }
    }

    /// The result of a job whose worker died after it had written the end and before the queue had heard of it: the
    /// tool is not run a second time.
    async fn completed_before(&self, task: &ClaimedTask) -> Option<Bytes> {
        if task.crashes == 0 {
            return None;
        }
        match self.shared.history.get(task.id).await {
            Ok(Some(record)) if record.state == JobState::Completed => {
                let result = result(&record).to_string();
                Reporter::new(Arc::clone(&self.shared), record).announce_end().await;
                Some(result.into())
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(job.id = %task.id, %error, "cannot look up an earlier run; the job runs again");
                None
            }
        }
    }
}

#[async_trait]
impl TaskHandler for JobHandler {
    async fn handle(&self, task: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
        let span = tracing::info_span!(
            "job.run",
            job.id = %task.id,
            task.kind = task.kind,
            correlation.id = %task.correlation_id,
            task.attempt = task.attempt,
        );
        Box::pin(self.run(task, context)).instrument(span).await
    }
}

impl fmt::Debug for JobHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandler").field("worker.id", &self.shared.worker_id).finish_non_exhaustive()
    }
}

/// Passes on what the tool says, and keeps the status from expiring while it says nothing.
async fn tell(reporter: &mut Reporter<'_>, mut events: mpsc::Receiver<crate::RunEvent>, context: &TaskContext) {
    let mut refresh = interval(reporter.refresh_every());
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    refresh.tick().await;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => reporter.event(event, context).await,
                None => return,
            },
            _ = refresh.tick() => reporter.refresh().await,
        }
    }
}

fn with_params(tool: Arc<Tool>, params: Value) -> Result<(Arc<Tool>, Map<String, Value>), Error> {
    let params = tool.validate(params)?;
    Ok((tool, params))
}

/// The result of the task, from which a lost row of the history can be made again.
pub(crate) fn result(record: &JobRecord) -> Value {
    json!({ "outputs": record.outputs, "exit_code": record.exit_code })
}
