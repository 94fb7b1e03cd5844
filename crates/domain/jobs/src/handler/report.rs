//! Says what becomes of a job, in four places and always in the same order: this process, the history, the status
//! store, and the streams.
//!
//! None of them stops a job that runs: what cannot be written is logged, and the history is made whole later from what
//! the queue knows.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};
use trackside_core::Timestamp;
use trackside_progress::{EventKind, FinalStatus, NewOperation, ProgressId, Update};
use trackside_queue::TaskContext;

use super::{Shared, result};
use crate::{Error, JobRecord, JobState, JobUpdate, RunEvent, live::LiveJob};

/// The end of a job is worth more than one try at the history.
const END_TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// The one who speaks for a job.
pub(crate) struct Reporter<'a> {
    shared: Arc<Shared>,
    record: JobRecord,
    progress_id: ProgressId,
    live: Option<&'a LiveJob>,
    /// When the status was written last.
    written: Instant,
    /// The status store lacks the newest progress.
    is_behind: bool,
}

// === impl Reporter ===

impl<'a> Reporter<'a> {
    pub(crate) fn new(shared: Arc<Shared>, record: JobRecord) -> Self {
        let progress_id = ProgressId::from(record.job_id);
        Self { shared, record, progress_id, live: None, written: Instant::now(), is_behind: false }
    }

    /// Keeps this process' own view up to date as well.
    pub(super) fn live(mut self, live: &'a LiveJob) -> Self {
        self.live = Some(live);
        self
    }

    pub(super) const fn record(&self) -> &JobRecord {
        &self.record
    }

    pub(super) const fn record_mut(&mut self) -> &mut JobRecord {
        &mut self.record
    }

    /// How often [`refresh`](Self::refresh) must be called.
    pub(super) fn refresh_every(&self) -> Duration {
        self.shared.config.status_every.max(Duration::from_millis(10))
    }

    /// The job was accepted by the queue.
    pub(crate) async fn created(&mut self) {
        self.save_once().await;
        let ttl = self.shared.config.status_ttl;
        if let Err(error) = self.shared.status.put_if_absent(&self.record, ttl).await {
            self.warn("status", &error);
        }
        self.open_stream().await;
        self.publish().await;
    }

    /// The tool is about to run.
    pub(super) async fn started(&mut self) {
        self.save_once().await;
        self.write_status().await;
        self.open_stream().await;
        self.publish().await;
    }

    /// The tool said something.
    pub(super) async fn event(&mut self, event: RunEvent, context: &TaskContext) {
        let told = match event {
            RunEvent::Log { line, .. } => self.shared.progress.log(&self.progress_id, line).await,
            RunEvent::Progress { percent, message } => {
                context.progress(percent, message.clone());
                if let Some(percent) = percent {
                    self.record.progress.percent = percent;
                }
                if message.is_some() {
                    self.record.progress.message.clone_from(&message);
                }
                if let Some(live) = self.live {
                    live.update(&self.record);
                }
                self.is_behind = true;
                let update = Update { percent: percent.map(f64::from), message, ..Update::default() };
                self.shared.progress.patch(&self.progress_id, update).await
            }
        };
        if let Err(error) = told {
            tracing::debug!(job.id = %self.record.job_id, %error, "progress not told");
        }
    }

    /// Writes newer progress, and an unchanged status before it expires.
    pub(super) async fn refresh(&mut self) {
        if self.is_behind || self.written.elapsed() > self.shared.config.status_ttl / 2 {
            self.write_status().await;
        }
    }

    /// The run is over: for good, or until the queue hands the job out again.
    pub(crate) async fn ended(&mut self, state: JobState, error: Option<String>) {
        let now = self.shared.clock.now();
        self.ended_at(state, error, state.is_finished().then_some(now)).await;
    }

    /// [`ended`](Self::ended), at a time that somebody else noted.
    pub(crate) async fn ended_at(&mut self, state: JobState, error: Option<String>, finished_at: Option<Timestamp>) {
        self.record.state = state;
        self.record.error = error;
        self.record.finished_at = finished_at;
        if state == JobState::Completed {
            self.record.progress.percent = 100.0;
        }
        if let Some(live) = self.live {
            live.update(&self.record);
        }
        self.save_repeatedly().await;
        self.announce_end().await;
    }

    /// Tells the end again, after the history has it.
    pub(crate) async fn announce_end(&mut self) {
        self.write_status().await;
        let (progress, id) = (&self.shared.progress, &self.progress_id);
        let status = match self.record.state {
            JobState::Completed => Some(FinalStatus::Completed),
            JobState::Failed => Some(FinalStatus::Failed),
            JobState::Cancelled => Some(FinalStatus::Cancelled),
            JobState::Queued | JobState::Running | JobState::Parked => None,
        };
        let told = match status {
            Some(status) => {
                let mut end = result(&self.record);
                if let Some(error) = &self.record.error {
                    end["error"] = json!(error);
                }
                match progress.finish(id, status, Some(end)).await {
                    // Too long for one event. The stream must end all the same; the record has the rest.
                    Err(trackside_progress::Error::InvalidInput { .. }) => {
                        let end = json!({ "exit_code": self.record.exit_code, "truncated": true });
                        progress.finish(id, status, Some(end)).await
                    }
                    told => told,
                }
            }
            None => progress.publish(id, EventKind::State, self.state()).await,
        };
        if let Err(error) = told {
            tracing::debug!(job.id = %self.record.job_id, %error, "the end was not told");
        }
        self.publish().await;
    }

    /// Makes the stream of the job exist and tells its state. A stream that has ended is begun anew: the job was taken
    /// back from the dead letters.
    async fn open_stream(&self) {
        let (progress, id) = (&self.shared.progress, &self.progress_id);
        let told = async {
            progress.ensure(id, NewOperation::default()).await?;
            match progress.publish(id, EventKind::State, self.state()).await {
                Err(trackside_progress::Error::Finished { .. }) if self.record.run > 0 => {
                    progress.put(id, NewOperation::default()).await?;
                    progress.publish(id, EventKind::State, self.state()).await
                }
                told => told,
            }
        };
        if let Err(error) = told.await {
            tracing::debug!(job.id = %self.record.job_id, %error, "the state was not told");
        }
    }

    fn state(&self) -> serde_json::Value {
        json!({
            "job_id": self.record.job_id,
            "tool": self.record.tool,
            "status": self.record.state,
            "worker_id": self.record.worker_id,
        })
    }

    async fn write_status(&mut self) {
        self.written = Instant::now();
        self.is_behind = false;
        let ttl = self.shared.config.status_ttl;
        if let Err(error) = self.shared.status.put(&self.record, ttl).await {
            self.warn("status", &error);
        }
    }

    async fn publish(&self) {
        let Some(update) = JobUpdate::of(&self.record, self.shared.clock.now()) else { return };
        if let Err(error) = self.shared.updates.publish(update).await {
            self.warn("update", &error);
        }
    }

    async fn save_once(&self) {
        if let Err(error) = self.shared.history.save(&self.record).await {
            self.warn("history", &error);
        }
    }

    async fn save_repeatedly(&self) {
        for attempt in 1..=END_TRIES {
            match self.shared.history.save(&self.record).await {
                Ok(_) => return,
                Err(error) if attempt == END_TRIES => self.warn("history", &error),
                Err(_) => sleep(BETWEEN_TRIES * attempt).await,
            }
        }
    }

    fn warn(&self, what: &'static str, error: &Error) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(job.id = %self.record.job_id, what, error, "the state of a job was not written");
    }
}
