//! Runs a built-in tool as a job, on stores in memory, and prints what it says and what it leaves.
//!
//! `cargo run -p trackside-jobs --example run_a_tool [tool] [parameters as JSON]`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use trackside_core::SystemClock;
use trackside_jobs::{
    Config, JOB_KIND, JobDeps, JobService, MemoryJobStatusStore, MemoryJobUpdates, RunRequest, SearchPath,
    SqliteJobHistory, ToolRegistry,
};
use trackside_progress::{MemoryProgressStore, ProgressId, ProgressTracker};
use trackside_queue::{Handlers, MemoryQueueStore, ProcessorConfig, QueueManager, TaskProcessor};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let tool = arguments.next().unwrap_or_else(|| "word-index".to_owned());
    let params = serde_json::from_str(&arguments.next().unwrap_or_else(|| "{}".to_owned()))?;

    let data = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock::default());
    let store = MemoryQueueStore::new(trackside_queue::Config::default(), clock.clone());
    let queues = QueueManager::new(Arc::new(store), trackside_queue::Config::default());
    let store = MemoryProgressStore::new(trackside_progress::Config::default(), clock.clone());
    let progress = ProgressTracker::new(Arc::new(store), trackside_progress::Config::default());
    let search_path = std::env::var_os("PATH").map(SearchPath::new).unwrap_or_default();
    let jobs = JobService::new(JobDeps {
        queue: queues.clone(),
        progress: progress.clone(),
        registry: ToolRegistry::load_builtin_with(data.path(), search_path)?,
        history: Arc::new(SqliteJobHistory::open(data.path().join("jobs.sqlite")).await?),
        status: Arc::new(MemoryJobStatusStore::default()),
        updates: Arc::new(MemoryJobUpdates::default()),
        clock,
        config: Config::new(data.path()),
    });

    let receipt = jobs.submit(RunRequest::new(tool, params)).await?;
    println!("job {} waits in {}", receipt.job_id, receipt.queue);
    let shutdown = CancellationToken::new();
    let handlers = Handlers::new().on(JOB_KIND, jobs.handler());
    let processor = TaskProcessor::new(queues, receipt.queue, handlers, ProcessorConfig::default());
    let worker = tokio::spawn(processor.run(shutdown.clone()));

    let mut events = std::pin::pin!(progress.events(&ProgressId::from(receipt.job_id), None));
    while let Some(event) = events.next().await {
        println!("{:9} {}", event.kind.as_str(), event.data);
    }
    if let Some(view) = jobs.get(receipt.job_id).await? {
        for output in view.record.outputs {
            let file = jobs.output(receipt.job_id, &output.name).await?;
            let text = std::fs::read_to_string(&file.path)?;
            println!("\n{} ({}, {} bytes)", output.name, output.content_type, output.bytes);
            text.lines().take(12).for_each(|line| println!("    {}", line.chars().take(110).collect::<String>()));
        }
    }
    shutdown.cancel();
    worker.await?;
    Ok(())
}
