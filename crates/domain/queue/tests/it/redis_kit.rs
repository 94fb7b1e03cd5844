//! A store on the Redis that all tests of this process share, under a prefix of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::{KeyPrefix, QueueName};
use trackside_queue::{Config, QueueStore, RedisQueueStore, conformance::Harness};
use trackside_redis::RedisService;
use trackside_testkit::RedisServer;

use crate::names::unique_queue;

/// What a busy test machine may need; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A store under test whose clock can be moved.
pub(crate) struct OnRedis {
    pub(crate) config: Config,
    pub(crate) service: RedisService,
    pub(crate) store: RedisQueueStore,
    offset_ms: Arc<AtomicU64>,
}

impl OnRedis {
    pub(crate) async fn shared() -> Self {
        let server = RedisServer::shared().await;
        Self::at(&server.url(), &server.unique_prefix(), Self::patient()).await
    }

    /// Long times, which cost nothing because the clock is moved, so that a busy machine cannot reach them itself.
    pub(crate) fn patient() -> Config {
        Config {
            lease: Duration::from_secs(100),
            stall_threshold: Duration::from_secs(60),
            stall_grace: Duration::from_secs(30),
            dead_max_count: 260,
            ..Config::default()
        }
    }

    pub(crate) async fn at(url: &str, prefix: &str, config: Config) -> Self {
        let service = connect(url, prefix).await;
        let offset_ms = Arc::new(AtomicU64::new(0));
        let store = RedisQueueStore::with_clock_offset(service.clone(), config.clone(), Arc::clone(&offset_ms));
        Self { config, service, store, offset_ms }
    }

    /// A key of this store, with its prefix.
    pub(crate) fn key(&self, name: &str) -> String {
        self.service.prefix().key(name)
    }

    /// A key of a queue that is no plain list.
    pub(crate) fn tagged(&self, queue: &QueueName, name: &str) -> String {
        format!("{{{}}}:{name}", self.key(&format!("{queue}:queue")))
    }
}

#[async_trait]
impl Harness for OnRedis {
    fn store(&self) -> &dyn QueueStore {
        &self.store
    }

    fn config(&self) -> &Config {
        &self.config
    }

    async fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn queue(&self) -> QueueName {
        unique_queue()
    }
}

/// A service that is connected, and patient with a busy machine.
pub(crate) async fn connect(url: &str, prefix: &str) -> RedisService {
    let service = RedisService::start(trackside_redis::Config {
        prefix: KeyPrefix::new(prefix),
        command_timeout: PATIENCE,
        ..trackside_redis::Config::new(url.parse().unwrap())
    })
    .unwrap();
    service.wait_until_connected(PATIENCE).await.unwrap();
    service
}
