//! Making the history true again: the queue decides what became of a job whose worker could not say it.

use std::sync::Arc;

use serde::Deserialize;
use trackside_queue::TaskStatus;

use super::{JobService, submit::job_state};
use crate::{Error, JobOutput, JobRecord, JobState, handler::Reporter};

/// Rows looked at in one go.
const PAGE: u32 = 200;

/// What a handler left as the result of the task.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TaskResult {
    outputs: Vec<JobOutput>,
    exit_code: Option<i32>,
}

// === impl JobService ===

impl JobService {
    /// Compares every unfinished job of the history with the queue, and writes the end of those that have ended: their
    /// worker died too often, or could not reach the history, or the queue lost them (one in memory, with its process).
    /// Answers how many.
    ///
    /// # Errors
    /// The history's; and the queue's, when it cannot be asked, with what was found before it written.
    pub async fn reconcile(&self) -> Result<usize, Error> {
        let (mut after, mut ended) = (None, 0);
        loop {
            let page = self.shared.history.unfinished(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(ended) };
            after = Some(last.job_id);
            for record in page {
                if self.shared.live.contains(record.job_id) {
                    continue;
                }
                let id = record.job_id;
                let now = match self.queue.status(id).await? {
                    Some(status) => as_task(record, &status),
                    // It may have ended here between the two looks.
                    None if self.shared.live.contains(id) => continue,
                    None => lost(record),
                };
                if now.state.is_finished() {
                    self.write_end(now).await;
                    ended += 1;
                }
            }
        }
    }

    /// Removes folders and rows that are older than their retention; answers how many of each.
    ///
    /// # Errors
    /// The first thing that could not be removed.
    pub async fn sweep(&self) -> Result<(usize, u64), Error> {
        let (config, live) = (&self.shared.config, &self.shared.live);
        let folders = &config.runner.folders;
        let removed = folders.remove_older_than(config.output_retention, |id| live.contains(id)).await?;
        let now = self.shared.clock.now().as_millis();
        let age = u64::try_from(config.history_retention.as_millis()).unwrap_or(u64::MAX);
        let pruned = self.shared.history.prune(trackside_core::Timestamp::from_millis(now.saturating_sub(age))).await?;
        Ok((removed, pruned))
    }

    /// An unfinished job with what the queue knows of it; its end is written where nobody else did.
    pub(super) async fn as_the_queue_knows_it(&self, record: JobRecord) -> JobRecord {
        match self.queue.status(record.job_id).await {
            Ok(Some(status)) => {
                let record = as_task(record, &status);
                if record.state.is_finished() && !self.shared.live.contains(record.job_id) {
                    self.write_end(record.clone()).await;
                }
                record
            }
            Ok(None) => record,
            Err(error) => {
                tracing::debug!(job.id = %record.job_id, %error, "the queue does not answer; the job is shown as it was");
                record
            }
        }
    }

    async fn write_end(&self, record: JobRecord) {
        let (state, error) = (record.state, record.error.clone());
        tracing::info!(job.id = %record.job_id, job.state = state.as_str(), "the end of a job was found in the queue");
        // A job that was lost has no time of its end; retention needs one.
        let finished_at = record.finished_at.or_else(|| Some(self.shared.clock.now()));
        Reporter::new(Arc::clone(&self.shared), record).ended_at(state, error, finished_at).await;
    }
}

/// A job that had not ended when `record` was written, and whose task is now like this.
fn as_task(record: JobRecord, status: &TaskStatus) -> JobRecord {
    let state = job_state(status.state);
    if !state.is_finished() {
        return JobRecord { state, ..record };
    }
    let result: TaskResult =
        status.result.as_ref().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
    let error = status.error.clone().or_else(|| (state == JobState::Failed).then(|| "no reason is known".to_owned()));
    JobRecord {
        state,
        outputs: result.outputs,
        exit_code: result.exit_code,
        error: if state == JobState::Completed { None } else { error },
        started_at: record.started_at.or(status.started_at),
        finished_at: status.finished_at,
        ..record
    }
}

fn lost(record: JobRecord) -> JobRecord {
    let error = "the queue no longer has it: it was lost with a queue in memory, or removed by hand".to_owned();
    JobRecord { state: JobState::Failed, error: Some(error), ..record }
}
