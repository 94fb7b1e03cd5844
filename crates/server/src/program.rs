//! What runs beside the HTTP service: processors, and the loops that keep progress, brake and history true.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_queue::{Scheduler, SchedulerConfig};

use crate::{brake, config::Config, wiring::Parts, worker};

/// The running background of a process.
#[derive(Debug)]
pub(crate) struct Program {
    parts: Parts,
    /// Processors and the scheduler; they end first, and need the others until then.
    workers: TaskTracker,
    /// Everything else.
    keepers: TaskTracker,
    end_keepers: CancellationToken,
}

/// How long the keepers may take to write what they still hold.
const LAST_WORDS: Duration = Duration::from_secs(3);

// === impl Program ===

impl Program {
    /// Starts everything; processors begin to stop when `stop` is cancelled.
    pub(crate) fn start(config: &Config, parts: Parts, stop: &CancellationToken) -> Self {
        let (workers, keepers, end_keepers) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (progress, jobs, control) = (parts.progress.clone(), parts.jobs.clone(), parts.control.clone());
        let end = || end_keepers.clone();
        let (end_progress, end_jobs, end_control) = (end(), end(), end());
        keepers.spawn(async move { progress.run(end_progress).await });
        keepers.spawn(async move { jobs.run(end_jobs).await });
        keepers.spawn(async move { control.run(end_control).await });
        let (reports, unwritten) = brake::Reports::new();
        keepers.spawn(brake::write_reports(parts.control.clone(), unwritten, end()));
        keepers.spawn(brake::keep(parts.control.clone(), parts.queues.clone(), reports.clone(), end()));
        keepers.spawn(list_queues(config.queue.names.clone(), parts.clone(), end()));
        if config.scheduler.enabled {
            let poll = Duration::from_millis(config.scheduler.poll_ms);
            let scheduler = Scheduler::new(parts.schedules.clone(), SchedulerConfig { poll, ..Default::default() });
            workers.spawn(scheduler.run(stop.clone()));
        }
        let (monitor, end_watching) = (parts.monitor.clone(), end());
        keepers.spawn(async move { monitor.run(end_watching).await });
        if config.worker.enabled {
            worker::start(config, &parts, &reports, &workers, stop);
        }
        Self { parts, workers, keepers, end_keepers }
    }

    /// What runs.
    pub(crate) const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Waits for the processors, whose shutdown has begun, then ends the rest and closes the connections.
    pub(crate) async fn end(self) {
        self.workers.close();
        self.workers.wait().await;
        self.parts.queues.close().await;
        self.end_keepers.cancel();
        self.keepers.close();
        if timeout(LAST_WORDS, self.keepers.wait()).await.is_err() {
            tracing::warn!("some updates could not be written before the end");
        }
        self.parts.close().await;
        tracing::info!("stopped");
    }
}

/// Makes the configured queues known, as soon as the store can be reached.
async fn list_queues(names: Vec<String>, parts: Parts, end: CancellationToken) {
    const AGAIN: Duration = Duration::from_secs(1);
    for queue in names.iter().filter_map(|name| name.parse().ok()) {
        let mut announced = false;
        while let Err(error) = parts.queues.meet(&queue).await {
            if !std::mem::replace(&mut announced, true) {
                tracing::debug!(queue.name = %queue, %error, "cannot list the queue yet");
            }
            if end.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return;
            }
        }
    }
}
