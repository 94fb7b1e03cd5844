//! What the handlers work on.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use trackside_cache::CacheManager;
use trackside_control::AgentControl;
use trackside_core::{HealthCheck, Timestamp};
use trackside_jobs::JobService;
use trackside_progress::ProgressTracker;
use trackside_queue::{MonitorHandle, QueueManager, Schedules};
use trackside_ratelimit::RateLimiter;
use trackside_session::SessionLayer;

use crate::{Access, ApiConfig, WebhookSources};

/// Everything the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Queues and tasks.
    pub queues: QueueManager,
    /// Tasks that come again.
    pub schedules: Schedules,
    /// Who may send webhooks.
    pub webhooks: Arc<WebhookSources>,
    /// Rates and alerts of the queues.
    pub monitor: MonitorHandle,
    /// Operations and their events.
    pub progress: ProgressTracker,
    /// The cache.
    pub cache: CacheManager,
    /// Sessions, and how browsers carry their tokens.
    pub sessions: SessionLayer,
    /// Rate limits.
    pub limits: RateLimiter,
    /// The brake and agent status.
    pub control: AgentControl,
    /// Tools and jobs.
    pub jobs: JobService,
    /// Who may do what.
    pub access: Access,
    /// The components that `/health` asks.
    pub health: Arc<[Arc<dyn HealthCheck>]>,
    /// Where state lives.
    pub store: StoreInfo,
    /// The Redis connection, where one is configured.
    pub redis: Option<Arc<dyn RedisView>>,
    /// What `/metrics` answers.
    pub metrics: Arc<dyn MetricsSource>,
    /// Cancelled when the service shuts down: streams end, long polls answer, readiness turns.
    pub shutdown: CancellationToken,
    /// What runs.
    pub build: BuildInfo,
    /// Limits and habits.
    pub config: Arc<ApiConfig>,
}

/// Where state lives.
///
/// ```
/// use trackside_api::{StoreInfo, StoreKind};
/// let embedded = StoreInfo { kind: StoreKind::Memory, durable: false };
/// assert_eq!(embedded.kind.as_str(), "memory");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreInfo {
    /// Which stores.
    pub kind: StoreKind,
    /// Whether what was accepted survives a restart.
    pub durable: bool,
}

/// Which stores the service runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// In this process.
    Memory,
    /// Redis or Valkey.
    Redis,
}

/// What the HTTP surface shows of the Redis connection.
#[async_trait]
pub trait RedisView: Send + Sync + 'static {
    /// Whether the connection stands now.
    fn is_connected(&self) -> bool;

    /// The circuit breaker's state in one word, such as `closed`.
    fn breaker(&self) -> String;

    /// Version, role, memory and the like, or why they cannot be told; in words that may be shown to anyone.
    async fn info(&self) -> Result<serde_json::Value, String>;
}

/// What `/metrics` answers; `trackside_telemetry::MetricsHandle` is one.
///
/// ```
/// use trackside_api::MetricsSource;
/// struct Nothing;
/// impl MetricsSource for Nothing {
///     fn gather(&self) -> String {
///         String::new()
///     }
/// }
/// ```
pub trait MetricsSource: Send + Sync + 'static {
    /// The Prometheus text exposition, version 0.0.4.
    fn gather(&self) -> String;
}

/// What runs, since when.
///
/// ```
/// use trackside_api::BuildInfo;
/// use trackside_core::Timestamp;
/// let build = BuildInfo { version: env!("CARGO_PKG_VERSION"), started_at: Timestamp::now() };
/// assert!(!build.version.is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct BuildInfo {
    /// The version of the binary.
    pub version: &'static str,
    /// When the process started.
    pub started_at: Timestamp,
}

// === impl ApiState ===

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("store", &self.store)
            .field("build", &self.build)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

// === impl MetricsSource ===

impl MetricsSource for trackside_telemetry::MetricsHandle {
    fn gather(&self) -> String {
        self.render()
    }
}

// === impl StoreKind ===

impl StoreKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}
