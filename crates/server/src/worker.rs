//! The worker: a processor per queue, whose handler runs tools. Part of `serve`, and a command of its own.

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::anyhow;
use secrecy::ExposeSecret;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_core::{QueueName, WorkerId};
use trackside_jobs::JOB_KIND;
use trackside_queue::{Handlers, ProcessorConfig, TaskProcessor};

use crate::{
    brake::{LatchedBrake, Reports},
    config::{Config, Loaded},
    failure::Failure,
    program::Program,
    shutdown, startup_log, telemetry,
    traced::Traced,
    wiring::{self, Parts},
};

/// `trackside worker`: until a signal.
pub(crate) async fn run(loaded: Loaded) -> Result<(), Failure> {
    let config = loaded.config;
    if config.redis.url.expose_secret().is_empty() {
        let error = anyhow!(
            "a worker shares its queues with the service through Redis: give --redis-url or TRACKSIDE_REDIS_URL, \
             or run `trackside serve`, which works by itself"
        );
        return Err(Failure::settings(error));
    }
    let telemetry = telemetry::init(&config)?;
    let parts = wiring::assemble(&config).await?;
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone())?;
    parts.greet_redis().await;
    startup_log::worker(&config, &parts);
    let program = Program::start(&config, parts, &stop)?;
    stop.cancelled().await;
    program.end().await;
    telemetry::end(telemetry).await;
    Ok(())
}

/// Starts a processor for every queue that tools name and every queue of `worker.queues`.
pub(crate) fn start(
    config: &Config,
    parts: &Parts,
    reports: &Reports,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let worker_id = WorkerId::generate("worker");
    let handler = Traced(parts.jobs.handler());
    for queue in queues(config, parts) {
        let processor = TaskProcessor::new(
            parts.queues.clone(),
            queue,
            Handlers::new().on(JOB_KIND, handler.clone()).fallback(handler.clone()),
            ProcessorConfig {
                concurrency: NonZeroUsize::new(config.worker.concurrency).unwrap_or(NonZeroUsize::MIN),
                task_timeout: Duration::from_millis(config.worker.task_timeout_ms),
                drain: Duration::from_millis(config.server.drain_ms),
                worker_id: worker_id.clone(),
                ..ProcessorConfig::default()
            },
        );
        let gate = LatchedBrake::new(parts.control.clone());
        let processor = processor.with_gate(Arc::new(gate)).with_observer(Arc::new(reports.clone()));
        tracker.spawn(processor.run(stop.clone()));
    }
}

/// The queues that this process takes tasks from.
pub(crate) fn queues(config: &Config, parts: &Parts) -> BTreeSet<QueueName> {
    let of_tools = parts.jobs.registry().tools().into_iter().map(|tool| tool.queue);
    // Names were checked when the settings and the manifests were read.
    of_tools.chain(config.worker.queues.iter().cloned()).filter_map(|name| name.parse().ok()).collect()
}
