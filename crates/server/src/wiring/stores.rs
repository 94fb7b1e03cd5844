//! Which implementation stands behind each port: memory stores, or Redis.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use trackside_api::{StoreInfo, StoreKind};
use trackside_cache::{CacheStore, MemoryCacheStore, RedisCacheStore};
use trackside_control::{ControlBus, MemoryControlBus, RedisControlBus};
use trackside_core::{Clock, KeyPrefix, SystemClock};
use trackside_jobs::{
    JobHistory, JobStatusStore, JobUpdates, MemoryJobStatusStore, MemoryJobUpdates, PostgresJobHistory,
    RedisJobStatusStore, RedisJobUpdates, SqliteJobHistory,
};
use trackside_progress::{MemoryProgressStore, ProgressStore, RedisProgressStore};
use trackside_queue::{
    AlertBoard, MemoryAlertBoard, MemoryQueueStore, MemoryScheduleStore, QueueStore, RedisAlertBoard, RedisQueueStore,
    RedisScheduleStore, ScheduleStore,
};
use trackside_ratelimit::{MemoryRateLimitStore, RateLimitStore, RedisRateLimitStore};
use trackside_redis::{ClientCertificate, RedisService, TlsConfig};
use trackside_session::{MemorySessionStore, RedisSessionStore, SessionStore};

use crate::config::Config;

/// One implementation of every port.
pub(super) struct Stores {
    pub(super) queue: Arc<dyn QueueStore>,
    pub(super) schedules: Arc<dyn ScheduleStore>,
    pub(super) alerts: Arc<dyn AlertBoard>,
    pub(super) progress: Arc<dyn ProgressStore>,
    pub(super) cache: Arc<dyn CacheStore>,
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) limits: Arc<dyn RateLimitStore>,
    pub(super) control: Arc<dyn ControlBus>,
    pub(super) status: Arc<dyn JobStatusStore>,
    pub(super) updates: Arc<dyn JobUpdates>,
    pub(super) history: Arc<dyn JobHistory>,
    pub(super) history_name: String,
    pub(super) info: StoreInfo,
    /// The queue store on Redis, which waits for work on connections of its own and has to be told of the end.
    pub(super) redis_queue: Option<RedisQueueStore>,
}

/// The connection to Redis, where a URL is configured. Returns at once; it connects in the background.
///
/// # Errors
/// When the URL or the certificate file is unusable.
pub(super) fn redis(config: &Config) -> anyhow::Result<Option<RedisService>> {
    connection(config, &config.redis.url)
}

/// The connection to the cache's own server, where there is one.
///
/// # Errors
/// As [`redis`].
pub(super) fn cache_redis(config: &Config) -> anyhow::Result<Option<RedisService>> {
    connection(config, &config.cache.redis_url)
}

fn connection(config: &Config, url: &SecretString) -> anyhow::Result<Option<RedisService>> {
    let url = url.expose_secret();
    if url.is_empty() {
        return Ok(None);
    }
    let settings = trackside_redis::Config {
        pool_size: NonZeroUsize::new(config.redis.pool_size).unwrap_or(NonZeroUsize::MIN),
        connect_timeout: Duration::from_millis(config.redis.connect_timeout_ms),
        command_timeout: Duration::from_millis(config.redis.command_timeout_ms),
        prefix: KeyPrefix::new(config.redis.prefix.clone()),
        tls: TlsConfig { ca_pem: authority(config)?, client: presented(config)? },
        ..trackside_redis::Config::new(url.parse().context("redis.url")?)
    };
    Ok(Some(RedisService::start(settings).context("redis")?))
}

/// Every store, on `redis` when there is one.
pub(super) async fn open(
    config: &Config,
    redis: Option<RedisService>,
    cache_redis: Option<RedisService>,
) -> anyhow::Result<Stores> {
    let (history, history_name) = history(config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let queue = super::queue_config(config);
    let progress = super::progress_config(config);
    let cache = crate::config::cache::cache(config)?;
    let cache: Arc<dyn CacheStore> = match cache_redis.or_else(|| redis.clone()) {
        Some(redis) => Arc::new(RedisCacheStore::new(redis, &cache)),
        None => Arc::new(MemoryCacheStore::new(&cache, Arc::clone(&clock))),
    };
    let redis_queue = redis.clone().map(|redis| RedisQueueStore::new(redis, queue.clone()));
    Ok(match redis.zip(redis_queue) {
        Some((redis, store)) => Stores {
            queue: Arc::new(store.clone()),
            schedules: Arc::new(RedisScheduleStore::new(redis.clone())),
            alerts: Arc::new(RedisAlertBoard::new(redis.clone())),
            progress: Arc::new(RedisProgressStore::new(redis.clone(), &progress)),
            cache,
            sessions: Arc::new(RedisSessionStore::new(redis.clone())),
            limits: Arc::new(RedisRateLimitStore::new(redis.clone())),
            control: Arc::new(RedisControlBus::new(redis.clone())),
            status: Arc::new(RedisJobStatusStore::new(redis.clone())),
            updates: Arc::new(RedisJobUpdates::new(redis)),
            history,
            history_name,
            info: StoreInfo { kind: StoreKind::Redis, durable: true },
            redis_queue: Some(store),
        },
        None => Stores {
            queue: Arc::new(MemoryQueueStore::new(queue, Arc::clone(&clock))),
            schedules: Arc::new(MemoryScheduleStore::new(Arc::clone(&clock))),
            alerts: Arc::new(MemoryAlertBoard::new(Arc::clone(&clock))),
            progress: Arc::new(MemoryProgressStore::new(progress, Arc::clone(&clock))),
            cache,
            sessions: Arc::new(MemorySessionStore::new(Arc::clone(&clock))),
            limits: Arc::new(MemoryRateLimitStore::new(Arc::clone(&clock))),
            control: Arc::new(MemoryControlBus::new(Arc::clone(&clock))),
            status: Arc::new(MemoryJobStatusStore::default()),
            updates: Arc::new(MemoryJobUpdates::default()),
            history,
            history_name,
            info: StoreInfo { kind: StoreKind::Memory, durable: false },
            redis_queue: None,
        },
    })
}

/// The job history, and what to call it.
async fn history(config: &Config) -> anyhow::Result<(Arc<dyn JobHistory>, String)> {
    let url = config.history.database_url.expose_secret();
    if url.is_empty() {
        let file = config.data_dir.join("history.sqlite3");
        let history = SqliteJobHistory::open(&file)
            .await
            .with_context(|| format!("cannot open the job history {}", file.display()))?;
        return Ok((Arc::new(history), format!("SQLite {}", file.display())));
    }
    // The URL may carry a password, so it stays out of the message.
    let history = PostgresJobHistory::connect(url).await.context("cannot open the job history in PostgreSQL")?;
    Ok((Arc::new(history), "PostgreSQL".to_owned()))
}

/// What is presented to a server that asks for a certificate.
fn presented(config: &Config) -> anyhow::Result<Option<ClientCertificate>> {
    let (cert, key) = (&config.redis.cert_file, &config.redis.key_file);
    if cert.as_os_str().is_empty() {
        return Ok(None);
    }
    let cert_pem = std::fs::read(cert).with_context(|| format!("redis.cert_file: cannot read {}", cert.display()))?;
    let key_pem = std::fs::read_to_string(key);
    let key_pem = key_pem.with_context(|| format!("redis.key_file: cannot read {}", key.display()))?;
    Ok(Some(ClientCertificate { cert_pem, key_pem: SecretString::from(key_pem) }))
}

fn authority(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    let file = &config.redis.ca_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let pem = std::fs::read(file).with_context(|| format!("redis.ca_file: cannot read {}", file.display()))?;
    Ok(Some(pem))
}
