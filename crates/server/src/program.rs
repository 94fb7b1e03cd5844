//! What runs beside the HTTP service: processors, and the loops that keep progress, brake and history true.

use std::{num::NonZeroUsize, time::Duration};

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_cache::CacheManager;
use trackside_core::QueueName;
use trackside_queue::{Error, OutboxRelay, QueueManager, QueuePolicy, Scheduler, SchedulerConfig};

use crate::{
    brake,
    config::{Config, policy::policies},
    wiring::Parts,
    worker,
};

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
    ///
    /// # Errors
    /// When a queue in the settings has no valid name or limits; nothing was started.
    pub(crate) fn start(config: &Config, parts: Parts, stop: &CancellationToken) -> anyhow::Result<Self> {
        let named = queues_of(config)?;
        let (workers, keepers, end_keepers) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (progress, jobs, control) = (parts.progress.clone(), parts.jobs.clone(), parts.control.clone());
        let end = || end_keepers.clone();
        let (end_progress, end_jobs, end_control) = (end(), end(), end());
        keepers.spawn(async move { progress.run(end_progress).await });
        keepers.spawn(async move { jobs.run(end_jobs).await });
        keepers.spawn(async move { control.run(end_control).await });
        keepers.spawn(OutboxRelay::new(parts.queues.clone()).run(end()));
        let (cache, end_cache) = (parts.cache.clone(), end());
        keepers.spawn(keep_warm(cache.clone(), end()));
        keepers.spawn(async move { cache.run(end_cache).await });
        let (limits, end_limits) = (parts.limits.clone(), end());
        keepers.spawn(async move { limits.run(end_limits).await });
        let (reports, unwritten) = brake::Reports::new();
        keepers.spawn(brake::write_reports(parts.control.clone(), unwritten, end()));
        keepers.spawn(brake::keep(parts.control.clone(), parts.queues.clone(), reports.clone(), end()));
        keepers.spawn(prepare_queues(named, parts.queues.clone(), end()));
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
        Ok(Self { parts, workers, keepers, end_keepers })
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

/// Warms the cache at once, and again before what is warm ends.
async fn keep_warm(cache: CacheManager, end: CancellationToken) {
    const AT_ONCE: NonZeroUsize = const { NonZeroUsize::new(4).unwrap() };
    const AGAIN: Duration = Duration::from_secs(1_800);
    let warming = async {
        loop {
            cache.warm(AT_ONCE, |_| {}).await;
            tokio::time::sleep(AGAIN).await;
        }
    };
    end.run_until_cancelled(warming).await;
}

/// The queues that the settings name, and the limits of those that have some.
fn queues_of(config: &Config) -> anyhow::Result<Vec<(QueueName, Option<QueuePolicy>)>> {
    let listed = config.queue.names.iter().map(|name| Ok((name.parse()?, None)));
    let limited = policies(config)?.into_iter().map(|(queue, policy)| Ok((queue, Some(policy))));
    listed.chain(limited).collect()
}

/// Makes the configured queues known and sets their limits, as soon as the store can be reached.
async fn prepare_queues(prepared: Vec<(QueueName, Option<QueuePolicy>)>, queues: QueueManager, end: CancellationToken) {
    const AGAIN: Duration = Duration::from_secs(1);
    for (queue, policy) in prepared {
        let mut announced = false;
        while let Err(error) = prepare(&queues, &queue, policy.as_ref()).await {
            if !std::mem::replace(&mut announced, true) {
                match policy {
                    Some(_) => tracing::warn!(queue.name = %queue, %error, "cannot set the limits of the queue yet"),
                    None => tracing::debug!(queue.name = %queue, %error, "cannot list the queue yet"),
                }
            }
            if end.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return;
            }
        }
    }
}

async fn prepare(queues: &QueueManager, queue: &QueueName, policy: Option<&QueuePolicy>) -> Result<(), Error> {
    queues.meet(queue).await?;
    match policy {
        Some(policy) => queues.set_policy(queue, policy).await,
        None => Ok(()),
    }
}
