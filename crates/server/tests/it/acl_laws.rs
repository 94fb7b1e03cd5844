//! The laws of every store, obeyed as the users that `trackside acl print` makes: Redis refuses none of it.

#![expect(clippy::unwrap_used, reason = "a law that cannot be tried fails the test")]

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::{KeyPrefix, QueueName};
use trackside_queue::{
    QueueStore, RedisQueueStore, RedisScheduleStore, ScheduleStore,
    conformance::{Harness, ScheduleHarness},
};
use trackside_redis::RedisService;
use trackside_testkit::RedisServer;

use crate::{
    acl::{ruled, url},
    service::PATIENCE,
};

const PREFIX: &str = "app:";

/// A server as one of its users.
struct User {
    redis: RedisServer,
    url: String,
}

/// A store of tasks, or of schedules, whose clock can be moved.
struct Moved<S> {
    store: S,
    config: trackside_queue::Config,
    offset_ms: Arc<AtomicU64>,
}

// === impl User ===

impl User {
    async fn of(role: &str) -> anyhow::Result<Self> {
        let redis = ruled(PREFIX).await?;
        let url = url(&redis, role);
        Ok(Self { redis, url })
    }

    /// A connection to the server, on which nothing is: each law begins so.
    async fn fresh(&self) -> RedisService {
        self.redis.cli(&["FLUSHALL"]);
        let config = trackside_redis::Config {
            prefix: KeyPrefix::new(PREFIX),
            command_timeout: PATIENCE,
            ..trackside_redis::Config::new(self.url.parse().unwrap())
        };
        let service = RedisService::start(config).unwrap();
        service.wait_until_connected(PATIENCE).await.unwrap();
        service
    }
}

/// Holds users to laws, and Redis to having refused nothing.
async fn hold<E: std::error::Error + Send + Sync + 'static>(
    roles: &[&str],
    laws: impl AsyncFn(&User) -> Result<(), E>,
) -> anyhow::Result<()> {
    for role in roles {
        let user = User::of(role).await?;
        laws(&user).await?;
        assert_eq!(user.redis.try_cli(&["ACL", "LOG"])?.trim(), "", "{role}");
    }
    Ok(())
}

// === impl Moved ===

impl<S> Moved<S> {
    async fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Moved<RedisQueueStore> {
    /// With long times, which a busy machine cannot reach by itself.
    async fn tasks(user: &User) -> Self {
        let config = trackside_queue::Config {
            lease: Duration::from_secs(100),
            stall_threshold: Duration::from_secs(60),
            stall_grace: Duration::from_secs(30),
            dead_max_count: 260,
            ..trackside_queue::Config::default()
        };
        let offset_ms = Arc::new(AtomicU64::new(0));
        let store = RedisQueueStore::with_clock_offset(user.fresh().await, config.clone(), Arc::clone(&offset_ms));
        Self { store, config, offset_ms }
    }
}

#[async_trait]
impl Harness for Moved<RedisQueueStore> {
    fn store(&self) -> &dyn QueueStore {
        &self.store
    }

    fn config(&self) -> &trackside_queue::Config {
        &self.config
    }

    async fn advance(&self, by: Duration) {
        self.advance(by).await;
    }

    fn queue(&self) -> QueueName {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("law-{}", NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
    }
}

impl Moved<RedisScheduleStore> {
    async fn schedules(user: &User) -> Self {
        let offset_ms = Arc::new(AtomicU64::new(0));
        let store = RedisScheduleStore::with_clock_offset(user.fresh().await, Arc::clone(&offset_ms));
        Self { store, config: trackside_queue::Config::default(), offset_ms }
    }
}

#[async_trait]
impl ScheduleHarness for Moved<RedisScheduleStore> {
    fn store(&self) -> &dyn ScheduleStore {
        &self.store
    }

    async fn advance(&self, by: Duration) {
        self.advance(by).await;
    }
}

// === the stores ===

async fn queues(user: &User) -> Result<(), trackside_queue::Error> {
    Box::pin(trackside_queue::queue_store_conformance!(in turn Moved::<RedisQueueStore>::tasks(user))).await
}

#[tokio::test]
async fn the_service_keeps_the_laws_of_queues_without_one_refusal() -> anyhow::Result<()> {
    hold(&["api"], queues).await
}

#[tokio::test]
async fn a_worker_keeps_the_laws_of_queues_without_one_refusal() -> anyhow::Result<()> {
    hold(&["worker"], queues).await
}

#[tokio::test]
async fn both_users_keep_the_laws_of_schedules_without_one_refusal() -> anyhow::Result<()> {
    let laws = async |user: &User| {
        Box::pin(trackside_queue::schedule_store_conformance!(in turn Moved::<RedisScheduleStore>::schedules(user)))
            .await
    };
    hold(&["api", "worker"], laws).await
}

#[tokio::test]
async fn both_users_keep_the_laws_of_the_cache_without_one_refusal() -> anyhow::Result<()> {
    use trackside_cache::{Config, RedisCacheStore, conformance::Bed};
    let bed = async |user: &User| {
        let store = RedisCacheStore::new(user.fresh().await, &Config::default());
        Bed { store: Arc::new(store), namespace: "law".parse().unwrap() }
    };
    let laws = async |user: &User| Box::pin(trackside_cache::cache_store_conformance!(in turn bed(user))).await;
    hold(&["api", "worker"], laws).await
}

#[tokio::test]
async fn both_users_keep_the_laws_of_rate_limits_without_one_refusal() -> anyhow::Result<()> {
    use trackside_ratelimit::{RedisRateLimitStore, conformance::Bed};
    let bed = async |user: &User| {
        let store = Arc::new(RedisRateLimitStore::new(user.fresh().await));
        Bed { store, policy: "free".parse().unwrap(), other: "pro".parse().unwrap() }
    };
    let laws =
        async |user: &User| Box::pin(trackside_ratelimit::rate_limit_store_conformance!(in turn bed(user))).await;
    hold(&["api", "worker"], laws).await
}

#[tokio::test]
async fn both_users_keep_the_laws_of_progress_without_one_refusal() -> anyhow::Result<()> {
    use trackside_progress::{Config, RedisProgressStore, conformance::Bed};
    let bed = async |user: &User| {
        let config = Config { history: NonZeroUsize::new(32).unwrap(), ..Config::default() };
        let store = Arc::new(RedisProgressStore::new(user.fresh().await, &config));
        Bed { store, id: "law".parse().unwrap(), history: 32 }
    };
    let laws = async |user: &User| Box::pin(trackside_progress::progress_store_conformance!(in turn bed(user))).await;
    hold(&["api", "worker"], laws).await
}

#[tokio::test]
async fn both_users_keep_the_laws_of_the_brake_without_one_refusal() -> anyhow::Result<()> {
    use trackside_control::{RedisControlBus, conformance::Bed};
    let bed = async |user: &User| {
        let bus = Arc::new(RedisControlBus::new(user.fresh().await));
        Bed { bus, user_id: "alice".parse().unwrap() }
    };
    let laws = async |user: &User| Box::pin(trackside_control::control_bus_conformance!(in turn bed(user))).await;
    hold(&["api", "worker"], laws).await
}

#[tokio::test]
async fn the_service_keeps_the_laws_of_sessions_without_one_refusal() -> anyhow::Result<()> {
    use trackside_session::{RedisSessionStore, conformance::Bed};
    let bed = async |user: &User| {
        let store = Arc::new(RedisSessionStore::new(user.fresh().await));
        Bed { store, user_id: "alice".parse().unwrap(), other: "bob".parse().unwrap() }
    };
    let laws = async |user: &User| Box::pin(trackside_session::session_store_conformance!(in turn bed(user))).await;
    hold(&["api"], laws).await
}
