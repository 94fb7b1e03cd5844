//! [`RedisService`]: what every store holds.

mod calls;
mod door;
mod guardian;
mod health;
mod typed;

pub use self::typed::Ttl;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_core::{KeyPrefix, SystemClock};
use trackside_resilience::{BreakerState, CircuitBreaker};

use crate::{
    BlockingConnection, Config, ConnectionState, Error, Operation, Subscription,
    links::Links,
    metrics::{self, Metrics},
    pubsub::{Hub, TopicKind},
};

/// How long [`RedisService::shutdown`] may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to Redis for a whole process: a few shared connections, one for subscriptions, a circuit breaker and a
/// deadline around every call. Clones share it all.
///
/// ```no_run
/// use std::time::Duration;
/// use trackside_redis::{Command, Config, RedisService};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisService::start(Config::new("redis://localhost:6379".parse()?))?;
/// redis.wait_until_connected(Duration::from_secs(2)).await?;
/// let key = redis.prefix().key("greeting");
/// redis.execute("demo.write", Command::new("SET").key(&key).arg("hello")).await?;
/// let text = redis.execute("demo.read", Command::new("GET").key(&key)).await?.into_string()?;
/// assert_eq!(text, "hello");
/// redis.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisService {
    inner: Arc<Inner>,
}

/// What the clones share.
pub(crate) struct Inner {
    config: Config,
    links: Arc<Links>,
    hub: Hub,
    breaker: CircuitBreaker,
    metrics: Arc<Metrics>,
    /// Calls that wait for their answer.
    pending: AtomicU64,
    memory_used: AtomicU64,
    memory_max: AtomicU64,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

// === impl RedisService ===

impl RedisService {
    /// Starts connecting in the background and comes back at once. Redis may be away: it is connected when it arrives,
    /// and until then calls are refused at once. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a setting is out of its bounds or a certificate cannot be read. Never because Redis
    /// is away.
    pub fn start(config: Config) -> Result<Self, Error> {
        config.check()?;
        let tasks = TaskTracker::new();
        let shutdown = CancellationToken::new();
        let metrics = Arc::new(Metrics::new(config.url.server_address()));
        let links = Arc::new(Links::new(&config)?);
        let hub = Hub::start(&config, Arc::clone(&metrics), &tasks, &shutdown)?;
        let breaker = CircuitBreaker::new("redis", config.breaker.clone(), Arc::new(SystemClock::default()));
        links.start(Arc::clone(&metrics), &tasks, &shutdown);
        let inner = Arc::new(Inner {
            config,
            links,
            hub,
            breaker,
            metrics,
            pending: AtomicU64::new(0),
            memory_used: AtomicU64::new(0),
            memory_max: AtomicU64::new(0),
            tasks,
            shutdown,
        });
        metrics::observe(Arc::downgrade(&inner));
        guardian::start(&inner);
        tracing::info!(
            server.address = %inner.config.url,
            redis.pool_size = inner.config.pool_size,
            "redis service started"
        );
        Ok(Self { inner })
    }

    /// Waits until a connection is in service. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason when it takes longer, [`Error::Refused`] when the server does not let us in.
    pub async fn wait_until_connected(&self, within: Duration) -> Result<(), Error> {
        let mut state = self.connection();
        let connected = timeout(within, state.wait_for(ConnectionState::is_connected)).await;
        if matches!(connected, Ok(Ok(_))) {
            return Ok(());
        }
        self.inner.links.pick(|| Operation::new("redis.connect")).map(drop)
    }

    /// True while a connection is in service.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.links.is_connected()
    }

    /// The state of the connection, and its changes.
    #[must_use]
    pub fn connection(&self) -> watch::Receiver<ConnectionState> {
        self.inner.links.state()
    }

    /// What every key and channel starts with.
    #[must_use]
    pub fn prefix(&self) -> &KeyPrefix {
        &self.inner.config.prefix
    }

    /// True behind a Cluster, where the keys of one script or pipeline must share a slot.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.inner.config.url.is_cluster()
    }

    /// What the circuit breaker does with calls.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.inner.breaker.state()
    }

    /// Messages of these channels, from when [`Subscription::ready`] says so. Comes back at once, also while Redis is
    /// away: the subscription is made when it arrives. All subscriptions of the process share one connection.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when no channel is named or the service is shut down.
    pub fn subscribe(&self, channels: Vec<String>) -> Result<Subscription, Error> {
        self.inner.hub.subscribe(TopicKind::Channel, channels)
    }

    /// As [`subscribe`](Self::subscribe), for every channel that matches one of these glob patterns.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when no pattern is named or the service is shut down.
    pub fn subscribe_patterns(&self, patterns: Vec<String>) -> Result<Subscription, Error> {
        self.inner.hub.subscribe(TopicKind::Pattern, patterns)
    }

    /// A connection of its own for commands that the server holds back, such as `BLMOVE`. It dials in the background.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the service is shut down.
    pub fn blocking(&self, name: impl Into<String>) -> Result<BlockingConnection, Error> {
        if self.inner.shutdown.is_cancelled() {
            return Err(Error::invalid_input(Operation::new("redis.blocking"), "the service is shut down"));
        }
        BlockingConnection::start(
            &self.inner.config,
            name.into(),
            Arc::clone(&self.inner.metrics),
            self.inner.tasks.clone(),
            &self.inner.shutdown,
        )
    }

    /// Ends subscriptions and blocking calls and closes all connections, within 2 s whatever state Redis is in. Calls
    /// after it are refused. Calling it again does nothing.
    pub async fn shutdown(&self) {
        let deadline = tokio::time::Instant::now() + SHUTDOWN_TIMEOUT;
        self.inner.shutdown.cancel();
        self.inner.tasks.close();
        if timeout_at(deadline, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.inner.tasks.len(),
                "redis connections did not close in time and are left to the end of the process"
            );
        }
    }
}

impl fmt::Debug for RedisService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisService")
            .field("url", &self.inner.config.url)
            .field("connection", &*self.inner.links.state().borrow())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// What the server last reported: used and limit, in bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        (self.memory_used.load(Ordering::Relaxed), self.memory_max.load(Ordering::Relaxed))
    }

    pub(crate) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Forgotten rather than shut down: the connections close by themselves, in the background.
        self.shutdown.cancel();
    }
}
