//! Joins the crates: the only place that knows which stores are in use.

mod data_dir;
mod stores;
mod warmers;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use trackside_api::StoreInfo;
use trackside_cache::CacheManager;
use trackside_control::AgentControl;
use trackside_core::SystemClock;
use trackside_jobs::{JobDeps, JobService, ResourceLimits, SearchPath, ToolRegistry};
use trackside_progress::ProgressTracker;
use trackside_queue::{QueueManager, QueueMonitor, RedisQueueStore, Schedules};
use trackside_ratelimit::RateLimiter;
use trackside_redis::RedisService;
use trackside_session::SessionLayer;

use self::data_dir::DataDir;
use crate::{alerts, brake, config::Config};

/// The parts of a running program. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) queues: QueueManager,
    pub(crate) monitor: QueueMonitor,
    pub(crate) schedules: Schedules,
    pub(crate) progress: ProgressTracker,
    pub(crate) cache: CacheManager,
    pub(crate) sessions: SessionLayer,
    pub(crate) limits: RateLimiter,
    pub(crate) control: AgentControl,
    pub(crate) jobs: JobService,
    /// `None` on memory stores.
    pub(crate) redis: Option<RedisService>,
    redis_queue: Option<RedisQueueStore>,
    /// The cache's own server, where it has one.
    cache_redis: Option<RedisService>,
    pub(crate) store: StoreInfo,
    /// Where the history is, in words for the log.
    pub(crate) history: String,
    /// Where the tools came from, in words for the log.
    pub(crate) tools: String,
    /// Held for as long as anything uses it.
    _data_dir: Arc<DataDir>,
}

// === impl Parts ===

impl Parts {
    /// Gives a Redis that is there the moment it takes to connect, so that the first request finds it. One that is not
    /// there is not waited for.
    pub(crate) async fn greet_redis(&self) {
        const GREETING: Duration = Duration::from_millis(1_500);
        if let Some(redis) = &self.redis
            && let Err(error) = redis.wait_until_connected(GREETING).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "Redis does not answer yet; starting without it");
        }
    }

    /// Waits for Redis for as long as it may take to connect.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn require_redis(&self) -> anyhow::Result<()> {
        const CONNECTING: Duration = Duration::from_secs(5);
        match &self.redis {
            Some(redis) => redis.wait_until_connected(CONNECTING).await.context("Redis does not answer"),
            None => Ok(()),
        }
    }

    /// Closes the connections; what asks for something afterwards is refused.
    pub(crate) async fn close(&self) {
        if let Some(queue) = &self.redis_queue {
            queue.shutdown().await;
        }
        for redis in [&self.redis, &self.cache_redis].into_iter().flatten() {
            redis.shutdown().await;
        }
    }
}

/// Makes every part of `config`. Redis is not waited for; the history must open.
///
/// # Errors
/// When the settings cannot work, or the data directory or the history cannot be opened.
pub(crate) async fn assemble(config: &Config) -> anyhow::Result<Parts> {
    let redis = stores::redis(config)?;
    let data_dir = Arc::new(DataDir::open(&config.data_dir, redis.is_none())?);
    let registry = tools(config)?;
    let cache_redis = stores::cache_redis(config)?;
    let stores = stores::open(config, redis.clone(), cache_redis.clone()).await?;
    let queues = QueueManager::new(stores.queue, queue_config(config));
    let schedules = Schedules::new(stores.schedules, queues.clone());
    let monitor = alerts::monitor(config, queues.clone(), stores.alerts, redis.clone())?;
    let progress = ProgressTracker::new(stores.progress, progress_config(config));
    let cache = CacheManager::new(stores.cache, crate::config::cache::cache(config)?);
    alerts::tell_of_cache(config, &cache, redis.clone())?;
    let sessions = crate::config::session::layer(config, stores.sessions)?;
    let limits = RateLimiter::new(stores.limits, crate::config::limits::limits(config)?)?;
    let control = AgentControl::new(stores.control, trackside_control::Config::default());
    queues.on_register(Arc::new(brake::BringBrake::new(control.clone())));
    let jobs = JobService::new(JobDeps {
        queue: queues.clone(),
        progress: progress.clone(),
        registry,
        history: stores.history,
        status: stores.status,
        updates: stores.updates,
        clock: Arc::new(SystemClock::default()),
        config: jobs_config(config),
    });
    warmers::add(&cache, &jobs)?;
    Ok(Parts {
        queues,
        monitor,
        schedules,
        progress,
        cache,
        sessions,
        limits,
        control,
        jobs,
        redis,
        redis_queue: stores.redis_queue,
        cache_redis,
        store: stores.info,
        history: stores.history_name,
        tools: tools_origin(config),
        _data_dir: data_dir,
    })
}

/// The tools of the tools directory, or, when there is none, those inside the program.
///
/// # Errors
/// When the directory cannot be read, or the built-in tools cannot be unpacked.
pub(crate) fn tools(config: &Config) -> anyhow::Result<ToolRegistry> {
    let search_path = std::env::var_os("PATH").map_or_else(SearchPath::default, SearchPath::new);
    if config.tools_dir.is_dir() {
        let folder = &config.tools_dir;
        return ToolRegistry::load_with(folder, search_path)
            .with_context(|| format!("cannot read the tools in {}", folder.display()));
    }
    ToolRegistry::load_builtin_with(&config.data_dir, search_path).context("cannot unpack the built-in tools")
}

fn tools_origin(config: &Config) -> String {
    let folder: &PathBuf = &config.tools_dir;
    if folder.is_dir() { folder.display().to_string() } else { "built in".to_owned() }
}

fn queue_config(config: &Config) -> trackside_queue::Config {
    let queue = &config.queue;
    trackside_queue::Config {
        lease: Duration::from_millis(queue.lease_ms),
        renew_every: Duration::from_millis(queue.renew_every_ms),
        max_crashes: NonZeroU32::new(queue.max_crashes).unwrap_or(NonZeroU32::MIN),
        retention: Duration::from_secs(queue.retention_s),
        dead_max_age: Duration::from_secs(queue.dead_max_age_s),
        dead_max_count: queue.dead_max_count,
        idempotency_ttl: Duration::from_secs(queue.idempotency_ttl_s),
        max_payload_bytes: queue.max_payload_bytes,
        compress_above: queue.compress_above,
        durability: queue.durability,
        durability_timeout: Duration::from_millis(queue.durability_timeout_ms),
        ..trackside_queue::Config::default()
    }
}

fn progress_config(config: &Config) -> trackside_progress::Config {
    let ttl = Duration::from_secs(config.progress.ttl_s);
    trackside_progress::Config { ttl, ttl_after_end: ttl, ..trackside_progress::Config::default() }
}

fn jobs_config(config: &Config) -> trackside_jobs::Config {
    let mut jobs = trackside_jobs::Config::new(&config.data_dir);
    jobs.output_retention = Duration::from_secs(config.jobs.retention_s);
    jobs.runner.outputs.file_bytes = config.jobs.max_output_bytes;
    jobs.runner.outputs.total_bytes = config.jobs.max_total_output_bytes;
    let limit = |value: u64| Some(value).filter(|value| *value > 0);
    jobs.runner.limits = ResourceLimits {
        cpu: limit(config.jobs.max_cpu_s).map(Duration::from_secs),
        memory_bytes: limit(config.jobs.max_memory_bytes),
        file_bytes: limit(config.jobs.max_file_bytes),
        open_files: limit(config.jobs.max_open_files),
        processes: limit(config.jobs.max_processes),
    };
    jobs
}
