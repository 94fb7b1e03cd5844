//! What the HTTP API and programs hold: submit, watch, cancel, list, download.

mod look;
mod reconcile;
mod submit;

use std::{sync::Arc, time::Duration};

use futures::stream::BoxStream;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use trackside_core::{Clock, ComponentHealth, HealthCheck, TaskId, WorkerId};
use trackside_progress::ProgressTracker;
use trackside_queue::{CancelOutcome, QueueManager};

pub use look::{JobPage, OutputFile};
pub use submit::{JobReceipt, RunRequest};

use crate::{
    Config, Error, JOB_KIND, JobHandler, JobHistory, JobState, JobStatusStore, JobUpdateEvent, JobUpdates, Runner,
    ToolRegistry,
    handler::{Reporter, Shared},
    live::LiveJobs,
};

/// What a [`JobService`] is made of.
#[derive(Debug, Clone)]
pub struct JobDeps {
    /// Where jobs wait; a job is a task of it.
    pub queue: QueueManager,
    /// The streams of jobs.
    pub progress: ProgressTracker,
    /// The tools.
    pub registry: ToolRegistry,
    /// Where jobs are remembered.
    pub history: Arc<dyn JobHistory>,
    /// Where the state of recent jobs is shared.
    pub status: Arc<dyn JobStatusStore>,
    /// Where the life cycle of jobs is published.
    pub updates: Arc<dyn JobUpdates>,
    /// The time written into records.
    pub clock: Arc<dyn Clock>,
    /// Everything else.
    pub config: Config,
}

/// The jobs of a program. Cheap to clone; all clones are one.
///
/// [`run`](Self::run) must be going in one process at least: it finds out what became of jobs whose worker died, and
/// removes what is older than its retention.
#[derive(Debug, Clone)]
pub struct JobService {
    queue: QueueManager,
    shared: Arc<Shared>,
}

/// Figures of all jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStats {
    /// Jobs that run in this process.
    pub running_here: usize,
    /// Jobs of the history by state; states without jobs are left out.
    pub by_state: Vec<(JobState, u64)>,
    /// Tools that can be run.
    pub tools: usize,
    /// Manifests that were refused.
    pub refused_manifests: usize,
}

// === impl JobService ===

impl JobService {
    /// A service of these parts.
    #[must_use]
    pub fn new(deps: JobDeps) -> Self {
        let mut config = deps.config;
        // One search path for the problem that a tool list shows and for the run that would meet it.
        config.runner.search_path = deps.registry.search_path().clone();
        let shared = Shared {
            registry: deps.registry,
            runner: Runner::new(config.runner.clone()),
            progress: deps.progress,
            history: deps.history,
            status: deps.status,
            updates: deps.updates,
            clock: deps.clock,
            live: LiveJobs::default(),
            config,
            worker_id: WorkerId::generate("jobs"),
        };
        Self { queue: deps.queue, shared: Arc::new(shared) }
    }

    /// What a processor of a queue with jobs calls.
    #[must_use]
    pub fn handler(&self) -> JobHandler {
        JobHandler::new(Arc::clone(&self.shared))
    }

    /// The tools.
    #[must_use]
    pub fn registry(&self) -> &ToolRegistry {
        &self.shared.registry
    }

    /// The life cycle of all jobs, from now on.
    #[must_use]
    pub fn updates(&self) -> BoxStream<'static, JobUpdateEvent> {
        self.shared.updates.subscribe()
    }

    /// Calls a job off. One that waits never runs; one that runs is stopped with all its processes.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], also for a task that is no job; the queue's errors. May be repeated.
    pub async fn cancel(&self, id: TaskId, reason: &str) -> Result<CancelOutcome, Error> {
        // With the history away, what the queue knows has to do: a job that runs away must be stoppable.
        if matches!(self.find(id).await, Ok(None)) {
            let task = self.queue.status(id).await?;
            if task.is_none_or(|task| task.kind != JOB_KIND) {
                return Err(Error::UnknownJob(id));
            }
        }
        let outcome = match self.queue.cancel(id, reason).await {
            Err(trackside_queue::Error::UnknownTask(_)) => return Err(Error::UnknownJob(id)),
            outcome => outcome?,
        };
        // Whoever runs it tells its end; when nobody does, that is us.
        if outcome == CancelOutcome::Cancelled
            && let Some(view) = self.find(id).await?
            && !view.record.state.is_finished()
        {
            Reporter::new(Arc::clone(&self.shared), view.record)
                .ended(JobState::Cancelled, Some(reason.to_owned()))
                .await;
        }
        Ok(outcome)
    }

    /// Figures of all jobs.
    ///
    /// # Errors
    /// The history's.
    pub async fn stats(&self) -> Result<JobStats, Error> {
        Ok(JobStats {
            running_here: self.shared.live.count(),
            by_state: self.shared.history.counts().await?,
            tools: self.shared.registry.tools().len(),
            refused_manifests: self.shared.registry.problems().len(),
        })
    }

    /// Keeps the history true to the queue and removes what is older than its retention, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let config = &self.shared.config;
        let (mut reconcile, mut sweep) = (interval(config.reconcile_every), interval(config.sweep_every));
        reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let forever = async {
            loop {
                let (what, done) = tokio::select! {
                    _ = reconcile.tick() => ("reconcile", self.reconcile().await.map(drop)),
                    _ = sweep.tick() => ("sweep", self.sweep().await.map(drop)),
                };
                if let Err(error) = done {
                    tracing::warn!(what, error = &error as &dyn std::error::Error, "jobs: will be tried again");
                }
            }
        };
        shutdown.run_until_cancelled(forever).await;
    }
}

#[async_trait::async_trait]
impl HealthCheck for JobService {
    fn name(&self) -> &'static str {
        "job_history"
    }

    async fn check(&self) -> ComponentHealth {
        let asked = Instant::now();
        match tokio::time::timeout(Duration::from_secs(2), self.shared.history.ping()).await {
            Ok(Ok(())) => ComponentHealth::ok().with_latency(asked.elapsed()),
            Ok(Err(error)) => ComponentHealth::degraded(error.to_string()),
            Err(_) => ComponentHealth::degraded("no answer within 2 s"),
        }
    }
}
