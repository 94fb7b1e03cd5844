//! Jobs from the request to the outputs, through the real queue and a real processor.

#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trackside_core::{ErrorKind, SystemClock, TaskId, UserId};
use trackside_jobs::{
    Config, Error, JOB_KIND, JobDeps, JobEvent, JobFilter, JobHistory, JobService, JobSource, JobState, JobStatusStore,
    JobUpdateEvent, MemoryJobStatusStore, MemoryJobUpdates, RunRequest, SqliteJobHistory, ToolRegistry,
};
use trackside_progress::{EventKind, MemoryProgressStore, ProgressId, ProgressTracker};
use trackside_queue::{
    BrakeChange, BrakeScope, CancelOutcome, Handlers, MemoryQueueStore, NewTask, ProcessorConfig, QueueManager,
    TaskProcessor,
};
use trackside_testkit::eventually;

use crate::support::{SOON, Workshop, all_gone, job_id, processes, queue};

/// A service on the memory stores and an SQLite file.
pub(crate) struct Site {
    workshop: Workshop,
    queues: QueueManager,
    progress: ProgressTracker,
    pub(crate) history: Arc<SqliteJobHistory>,
    status: Arc<MemoryJobStatusStore>,
    pub(crate) jobs: JobService,
}

/// A processor that runs; stopped and awaited by `stop`.
struct Worker {
    shutdown: CancellationToken,
    done: JoinHandle<()>,
}

impl Worker {
    async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        Ok(self.done.await?)
    }
}

impl Site {
    pub(crate) async fn new() -> Result<Self> {
        Self::of(Workshop::new()?).await
    }

    /// With one more tool.
    async fn with_tool(name: &str, script: &str, more: &str) -> Result<Self> {
        let workshop = Workshop::new()?;
        workshop.add(name, script, more)?;
        Self::of(workshop).await
    }

    async fn of(workshop: Workshop) -> Result<Self> {
        workshop.add(
            "hello",
            "echo looking; echo '{\"progress\": 40, \"message\": \"half way\"}'; echo hi > hi.txt",
            "outputs = [\"*.txt\"]\n[parameters]\nproperties.top = { type = \"integer\", default = 3 }",
        )?;
        workshop.add("fails", "echo broken >&2; exit 4", "")?;
        let stays = "[ -e ../../../release ] && exit 0; echo $$ >> ../../../processes; exec sleep 600";
        workshop.add("stays", stays, "")?;
        let clock = Arc::new(SystemClock::default());
        let store = MemoryQueueStore::new(trackside_queue::Config::default(), clock.clone());
        let queues = QueueManager::new(Arc::new(store), trackside_queue::Config::default());
        let progress = trackside_progress::Config::default();
        let progress =
            ProgressTracker::new(Arc::new(MemoryProgressStore::new(progress.clone(), clock.clone())), progress);
        let history = Arc::new(SqliteJobHistory::open(workshop.folder.path().join("jobs.sqlite")).await?);
        let status = Arc::new(MemoryJobStatusStore::default());
        let mut config = Config::new(workshop.folder.path());
        config.runner.grace = Duration::from_secs(1);
        let jobs = JobService::new(JobDeps {
            queue: queues.clone(),
            progress: progress.clone(),
            registry: ToolRegistry::load(workshop.tools())?,
            history: history.clone(),
            status: status.clone(),
            updates: Arc::new(MemoryJobUpdates::default()),
            clock,
            config,
        });
        Ok(Self { workshop, queues, progress, history, status, jobs })
    }

    fn work(&self) -> Worker {
        let handlers = Handlers::new().on(JOB_KIND, self.jobs.handler()).fallback(self.jobs.handler());
        let config = ProcessorConfig { drain: Duration::ZERO, ..ProcessorConfig::default() };
        let processor = TaskProcessor::new(self.queues.clone(), queue(), handlers, config);
        let shutdown = CancellationToken::new();
        Worker { done: tokio::spawn(processor.run(shutdown.clone())), shutdown }
    }

    async fn submit(&self, tool: &str) -> Result<TaskId> {
        Ok(self.jobs.submit(RunRequest { user_id: Some(ann()), ..RunRequest::new(tool, json!({})) }).await?.job_id)
    }

    async fn wait_for(&self, id: TaskId, state: JobState) {
        let is_so = || async {
            let view = self.jobs.get(id).await?.context("unknown")?;
            anyhow::ensure!(view.record.state == state, "{:?}", view.record);
            anyhow::Ok(())
        };
        eventually(is_so, SOON).await;
    }

    fn marks(&self) -> std::path::PathBuf {
        self.workshop.folder.path().join("processes")
    }
}

fn ann() -> UserId {
    "ann".parse().expect("a valid name")
}

#[tokio::test]
async fn a_job_runs_from_the_request_to_its_outputs() -> Result<()> {
    let site = Site::new().await?;
    let mut updates = site.jobs.updates();
    let id = site.submit("hello").await?;
    assert_eq!(site.jobs.get(id).await?.context("unknown")?.record.state, JobState::Queued);
    let worker = site.work();
    site.wait_for(id, JobState::Completed).await;

    // Once it has ended here, the status store answers.
    let ended = || async { site.jobs.get(id).await.ok()?.filter(|view| view.source == JobSource::Status) };
    let view = eventually(ended, SOON).await;
    assert_eq!((view.record.progress.percent, view.record.progress.message.as_deref()), (100.0, Some("half way")));
    assert_eq!((&view.record.params, view.record.exit_code), (&json!({"top": 3}), Some(0)));
    assert!(view.record.started_at.is_some() && view.record.finished_at.is_some());
    let output = site.jobs.output(id, "hi.txt").await?;
    assert_eq!((std::fs::read_to_string(output.path)?.as_str(), output.bytes), ("hi\n", 3));
    assert_eq!(site.jobs.output(id, "../hi.txt").await.unwrap_err().kind(), ErrorKind::NotFound);

    let mut seen = Vec::new();
    while seen.len() < 3 {
        match updates.next().await.context("the stream ended")? {
            JobUpdateEvent::Update(update) => seen.push((update.job_id, update.event)),
            JobUpdateEvent::Gap => panic!("nothing was missed"),
        }
    }
    assert_eq!(seen, [(id, JobEvent::JobCreated), (id, JobEvent::JobStarted), (id, JobEvent::JobCompleted)]);
    assert_eq!(site.history.get(id).await?.context("no row")?.state, JobState::Completed);
    worker.stop().await
}

#[tokio::test]
async fn the_stream_of_a_job_tells_everything_in_order() -> Result<()> {
    let site = Site::new().await?;
    let id = site.submit("hello").await?;
    let events = site.progress.events(&ProgressId::from(id), None);
    let worker = site.work();
    let events: Vec<(EventKind, Value)> = tokio::time::timeout(
        SOON,
        events.map(|event| (event.kind, serde_json::from_str(&event.data).unwrap_or_default())).collect(),
    )
    .await?;
    worker.stop().await?;
    let told: Vec<String> = events
        .iter()
        .filter_map(|(kind, data)| match kind {
            EventKind::State => Some(format!("state {}", data["state"]["status"])),
            EventKind::Log => Some(format!("log {}", data["line"])),
            EventKind::Progress => Some(format!("progress {}", data["percent"])),
            EventKind::Result => Some(format!("result {}", data["result"]["outputs"][0]["name"])),
            _ => None,
        })
        .collect();
    let expected = ["state \"running\"", "log \"looking\"", "progress 40.0", "result \"hi.txt\""];
    assert_eq!(told, expected, "{events:?}");
    assert_eq!(events.last().map(|(kind, _)| *kind), Some(EventKind::End));
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_wrong_leaves_nothing_behind() -> Result<()> {
    let site = Site::new().await?;
    let wrong = site.jobs.submit(RunRequest::new("hello", json!({"top": "x", "tpo": 1}))).await.unwrap_err();
    let Error::InvalidParams { errors, .. } = &wrong else { panic!("{wrong}") };
    assert_eq!(
        errors.iter().map(|e| e.field.as_str()).collect::<std::collections::BTreeSet<_>>(),
        ["params.top", "params.tpo"].into()
    );
    let unknown = site.jobs.submit(RunRequest::new("helo", json!({}))).await.unwrap_err();
    assert_eq!(unknown.to_string(), "unknown tool `helo`, did you mean `hello`?");
    assert!(site.jobs.list(&JobFilter::default(), None, 10).await?.jobs.is_empty());
    assert_eq!(site.queues.stats(&queue()).await?.created, 0);
    Ok(())
}

#[tokio::test]
async fn a_failed_job_says_why_and_is_not_tried_again() -> Result<()> {
    let site = Site::new().await?;
    let worker = site.work();
    let id = site.submit("fails").await?;
    site.wait_for(id, JobState::Failed).await;
    eventually(
        || async { site.queues.status(id).await.unwrap().is_some_and(|task| task.state.as_str() == "dead") },
        SOON,
    )
    .await;
    let record = site.history.get(id).await?.context("no row")?;
    assert_eq!(record.error.as_deref(), Some("exit status: 4: broken"));
    assert_eq!(site.queues.status(id).await?.context("no task")?.attempts, 1);
    worker.stop().await
}

#[tokio::test]
async fn cancelling_stops_a_running_job_and_keeps_a_waiting_one_from_starting() -> Result<()> {
    let site = Site::new().await?;
    let waiting = site.submit("stays").await?;
    assert_eq!(site.jobs.cancel(waiting, "changed my mind").await?, CancelOutcome::Cancelled);
    assert_eq!(site.history.get(waiting).await?.context("no row")?.error.as_deref(), Some("changed my mind"));

    let worker = site.work();
    let running = site.submit("stays").await?;
    let ids = processes(&site.marks(), 1).await;
    assert_eq!(site.jobs.get(running).await?.context("unknown")?.source, JobSource::Memory);
    assert_eq!(site.jobs.cancel(running, "stop it").await?, CancelOutcome::Ordered);
    site.wait_for(running, JobState::Cancelled).await;
    all_gone(&ids).await;
    assert_eq!(ids.len(), 1, "the waiting job never ran");
    assert!(matches!(site.jobs.cancel(job_id(), "who?").await, Err(Error::UnknownJob(_))));
    worker.stop().await
}

#[tokio::test]
async fn the_brake_parks_a_running_job_and_its_release_runs_it_again() -> Result<()> {
    let site = Site::new().await?;
    let worker = site.work();
    let id = site.submit("stays").await?;
    let ids = processes(&site.marks(), 1).await;
    let scope = BrakeScope::User(ann());
    site.queues.apply_brake(&BrakeChange { scope: scope.clone(), engaged: true, revision: 1 }).await?;
    site.wait_for(id, JobState::Parked).await;
    all_gone(&ids).await;
    eventually(|| async { site.queues.stats(&queue()).await.is_ok_and(|stats| stats.parked == 1) }, SOON).await;
    assert_eq!(site.history.get(id).await?.context("no row")?.state, JobState::Parked);

    std::fs::write(site.workshop.folder.path().join("release"), "")?;
    site.queues.apply_brake(&BrakeChange { scope, engaged: false, revision: 2 }).await?;
    site.wait_for(id, JobState::Completed).await;
    assert_eq!(site.jobs.list(&JobFilter::default(), None, 10).await?.jobs.len(), 1, "one job, one row");
    worker.stop().await
}

#[tokio::test]
async fn a_shutdown_gives_a_running_job_back_and_the_next_worker_runs_it() -> Result<()> {
    let site = Site::new().await?;
    let worker = site.work();
    let id = site.submit("stays").await?;
    let ids = processes(&site.marks(), 1).await;
    worker.stop().await?;
    all_gone(&ids).await;
    assert_eq!(site.jobs.get(id).await?.context("unknown")?.record.state, JobState::Queued);
    std::fs::write(site.workshop.folder.path().join("release"), "")?;
    let worker = site.work();
    site.wait_for(id, JobState::Completed).await;
    worker.stop().await
}

#[tokio::test]
async fn elements_of_other_producers_become_jobs() -> Result<()> {
    let site = Site::new().await?;
    let worker = site.work();
    for (kind, payload, top) in [
        ("hello", json!({"task": "hello", "params": {"top": 5}}), 5),
        ("hello", json!({"task": "hello", "top": 6}), 6),
        ("hello", json!({"top": 7}), 7),
        ("raw", json!({"tool": "hello"}), 3),
    ] {
        let task = NewTask::new(&queue(), kind, payload.to_string());
        let id = task.id;
        site.queues.enqueue(&queue(), task).await?;
        eventually(
            || async { site.history.get(id).await.unwrap().is_some_and(|job| job.state == JobState::Completed) },
            SOON,
        )
        .await;
        let record = site.history.get(id).await?.context("no row")?;
        assert_eq!((record.tool.as_str(), &record.params["top"]), ("hello", &json!(top)), "{payload}");
    }
    let stranger = NewTask::new(&queue(), "embed.document", "{}");
    let id = stranger.id;
    site.queues.enqueue(&queue(), stranger).await?;
    eventually(
        || async { site.queues.status(id).await.unwrap().is_some_and(|task| task.state.as_str() == "dead") },
        SOON,
    )
    .await;
    assert!(site.history.get(id).await?.is_none(), "what is no tool makes no job");
    worker.stop().await
}

#[tokio::test]
async fn the_history_is_made_true_again_after_a_restart() -> Result<()> {
    let site = Site::new().await?;
    // Ended in the queue, while this process could not say so.
    let cancelled = site.submit("stays").await?;
    site.queues.cancel(cancelled, "by an operator").await?;
    // Known to the history, lost by the queue.
    let lost = trackside_jobs::conformance::record("hello", 1_000);
    site.history.save(&lost).await?;
    let waiting = site.submit("hello").await?;
    assert_eq!(site.jobs.reconcile().await?, 2);
    let state = async |id| anyhow::Ok(site.history.get(id).await?.context("no row")?.state);
    assert_eq!(state(cancelled).await?, JobState::Cancelled);
    assert_eq!(state(lost.job_id).await?, JobState::Failed);
    assert_eq!(state(waiting).await?, JobState::Queued);
    assert_eq!(site.jobs.reconcile().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_is_found_in_the_history_when_its_status_has_expired() -> Result<()> {
    let site = Site::new().await?;
    let job = trackside_jobs::conformance::record("hello", 1_000);
    site.history.save(&job).await?;
    assert_eq!(site.jobs.get(job.job_id).await?.context("unknown")?.source, JobSource::History);
    site.status.put(&job, Duration::from_secs(600)).await?;
    assert_eq!(site.jobs.get(job.job_id).await?.context("unknown")?.source, JobSource::Status);
    assert!(site.jobs.get(job_id()).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_also_when_the_end_is_too_long_to_tell() -> Result<()> {
    let site = Site::with_tool(
        "wordy",
        "i=0; while [ $i -lt 66 ]; do : > \"$(printf '%0240d' $i)\"; i=$((i+1)); done\n\
         head -c 8000 /dev/zero | tr '\\0' '\\001' >&2; exit 1",
        "outputs = [\"*\"]",
    )
    .await?;
    let worker = site.work();
    let id = site.submit("wordy").await?;
    let events = site.progress.events(&ProgressId::from(id), None).collect::<Vec<_>>();
    let events = tokio::time::timeout(SOON, events).await?;
    let last = events.last().context("no event")?;
    assert_eq!(last.kind, EventKind::End);
    assert!(last.data.contains("failed"), "{}", last.data);
    let record = site.jobs.get(id).await?.context("unknown")?.record;
    assert_eq!((record.outputs.len(), record.exit_code), (66, Some(1)), "the record has everything");
    worker.stop().await
}

#[tokio::test]
async fn a_task_that_is_no_job_is_not_called_off_as_one() -> Result<()> {
    let site = Site::new().await?;
    let task = NewTask::new(&queue(), "embed.document", "{}");
    let id = task.id;
    site.queues.enqueue(&queue(), task).await?;
    assert!(matches!(site.jobs.cancel(id, "by mistake").await, Err(Error::UnknownJob(_))));
    let task = site.queues.status(id).await?.context("unknown")?;
    assert_eq!(task.state.as_str(), "queued");
    Ok(())
}
