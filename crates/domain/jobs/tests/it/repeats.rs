//! A job that is handed out again after its worker died.

use std::num::NonZeroU32;

use anyhow::{Context, Result};
use serde_json::json;
use trackside_core::{CorrelationId, Timestamp};
use trackside_jobs::{JOB_KIND, JobFilter, JobHistory, JobOutput, JobRecord, JobState, conformance::record};
use trackside_queue::{ClaimedTask, Fence, Priority, TaskContext, TaskHandler};

use crate::{jobs::Site, support::queue};

/// The task of `job` as a worker gets it after another one died with it.
fn handed_out_again(job: &JobRecord, fence: u64) -> ClaimedTask {
    ClaimedTask {
        id: job.job_id,
        queue: queue(),
        kind: JOB_KIND.to_owned(),
        payload: json!({ "tool": "hello", "params": {} }).to_string().into(),
        priority: Priority::Normal,
        attempt: 1,
        max_attempts: NonZeroU32::MIN,
        crashes: 1,
        fence: Fence(fence),
        lease_expires_at: Timestamp::from_millis(u64::MAX),
        lease: std::time::Duration::from_secs(10),
        enqueued_at: job.created_at,
        timeout: None,
        depends_on: Vec::new(),
        user_id: None,
        project_id: None,
        tenant_id: None,
        correlation_id: CorrelationId::generate(),
        traceparent: None,
    }
}

#[tokio::test]
async fn a_job_whose_worker_died_runs_again_in_the_same_row() -> Result<()> {
    let site = Site::new().await?;
    let job = JobRecord { run: 1, state: JobState::Running, ..record("hello", 1_000) };
    site.history.save(&job).await?;
    let task = handed_out_again(&job, 5);
    let result = site.jobs.handler().handle(&task, &TaskContext::detached(task.clone())).await?;
    assert!(String::from_utf8(result.context("no result")?.to_vec())?.contains("hi.txt"));
    let rows = site.history.list(&JobFilter::default(), None, 10).await?;
    assert_eq!(rows.iter().map(|row| (row.run, row.state)).collect::<Vec<_>>(), [(5, JobState::Completed)]);
    assert_eq!(rows[0].created_at, job.created_at);
    Ok(())
}

#[tokio::test]
async fn a_job_without_a_row_gets_one_when_it_starts() -> Result<()> {
    let site = Site::new().await?;
    let job = record("hello", 1_000);
    let task = handed_out_again(&job, 2);
    site.jobs.handler().handle(&task, &TaskContext::detached(task.clone())).await?;
    let row = site.history.get(job.job_id).await?.context("no row")?;
    assert_eq!((row.tool.as_str(), row.state, row.params), ("hello", JobState::Completed, json!({"top": 3})));
    Ok(())
}

#[tokio::test]
async fn a_job_that_had_ended_before_its_worker_died_does_not_run_again() -> Result<()> {
    let site = Site::new().await?;
    let output = JobOutput { name: "earlier.txt".to_owned(), bytes: 1, content_type: "text/plain".to_owned() };
    let job = JobRecord { run: 1, state: JobState::Completed, outputs: vec![output], ..record("hello", 1_000) };
    site.history.save(&job).await?;
    let task = handed_out_again(&job, 5);
    let result = site.jobs.handler().handle(&task, &TaskContext::detached(task.clone())).await?;
    assert!(String::from_utf8(result.context("no result")?.to_vec())?.contains("earlier.txt"));
    assert_eq!(site.history.get(job.job_id).await?, Some(job));
    Ok(())
}
