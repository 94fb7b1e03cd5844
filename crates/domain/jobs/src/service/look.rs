//! Looking at jobs: one, many, and what they left.

use std::path::PathBuf;

use trackside_core::TaskId;

use super::JobService;
use crate::{Error, JobFilter, JobRecord, JobSource, JobView, MAX_PAGE};

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// What to hand in for the next page; `None` when this is the last one.
    pub next: Option<String>,
}

/// A file that a job left, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size when the job ended.
    pub bytes: u64,
    /// What it is, guessed from its name.
    pub content_type: String,
}

// === impl JobService ===

impl JobService {
    /// A job as it is now: from this process when it runs here, else from the status store, else from the history; and
    /// for one that has not ended, as the queue knows it. `None` when nobody knows it.
    ///
    /// # Errors
    /// The history's, when neither this process nor the status store knows the job.
    pub async fn get(&self, id: TaskId) -> Result<Option<JobView>, Error> {
        let Some(view) = self.find(id).await? else { return Ok(None) };
        if view.source == JobSource::Memory || view.record.state.is_finished() {
            return Ok(Some(view));
        }
        let record = self.as_the_queue_knows_it(view.record).await;
        Ok(Some(JobView { record, ..view }))
    }

    /// Without asking the queue.
    pub(super) async fn find(&self, id: TaskId) -> Result<Option<JobView>, Error> {
        if let Some(record) = self.shared.live.get(id) {
            return Ok(Some(JobView { record, source: JobSource::Memory }));
        }
        match self.shared.status.get(id).await {
            Ok(Some(record)) => return Ok(Some(JobView { record, source: JobSource::Status })),
            Ok(None) => {}
            // The history knows as much, a little later.
            Err(error) => tracing::debug!(job.id = %id, %error, "no answer from the status store"),
        }
        let record = self.shared.history.get(id).await?;
        Ok(record.map(|record| JobView { record, source: JobSource::History }))
    }

    /// Jobs of the history, newest first, at most [`MAX_PAGE`]; those that run here with their newest progress.
    ///
    /// # Errors
    /// [`Error::InvalidCursor`]; the history's errors.
    pub async fn list(&self, filter: &JobFilter, cursor: Option<&str>, limit: u32) -> Result<JobPage, Error> {
        let after = cursor.map(str::parse::<TaskId>).transpose().map_err(|_| Error::InvalidCursor)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut jobs = self.shared.history.list(filter, after, limit).await?;
        let is_full = u32::try_from(jobs.len()).is_ok_and(|jobs| jobs == limit);
        let next = jobs.last().filter(|_| is_full).map(|job| job.job_id.to_string());
        for job in &mut jobs {
            // Only a job that still is what the filter asked for may be shown newer than the history has it.
            if let Some(live) = self.shared.live.get(job.job_id).filter(|live| live.state == job.state) {
                *job = live;
            }
        }
        Ok(JobPage { jobs, next })
    }

    /// A file that a job left.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], and [`Error::UnknownOutput`] also when the file was removed with its retention or is on
    /// the machine of another worker.
    pub async fn output(&self, id: TaskId, name: &str) -> Result<OutputFile, Error> {
        let view = self.find(id).await?.ok_or(Error::UnknownJob(id))?;
        let unknown = |reason| Error::UnknownOutput { job: id, name: name.chars().take(200).collect(), reason };
        let output = view.record.outputs.iter().find(|output| output.name == name);
        let output = output.ok_or_else(|| unknown("it left no file of this name"))?;
        let file = self.shared.config.runner.folders.output(id, view.record.run, name).await;
        let path = file.ok_or_else(|| unknown("the file was removed, or is on another worker's machine"))?;
        Ok(OutputFile { path, bytes: output.bytes, content_type: output.content_type.clone() })
    }
}
