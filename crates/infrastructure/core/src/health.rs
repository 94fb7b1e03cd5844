//! Health that answers with a reason and never with an error.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

/// How well a component does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Everything works.
    Ok,
    /// Works with a loss that its users can notice.
    Degraded,
    /// Does not work.
    Down,
}

/// One component's answer.
///
/// ```
/// use trackside_core::{ComponentHealth, HealthStatus};
/// let health = ComponentHealth::degraded("circuit breaker open");
/// assert_eq!(health.status, HealthStatus::Degraded);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentHealth {
    /// How well it works.
    pub status: HealthStatus,
    /// Why, in one line, when it is not [`HealthStatus::Ok`] or when there is something to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long the check took, in milliseconds, where the check is a round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// Something whose health can be asked for.
///
/// The answer comes within two seconds whatever state the component is in.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// The component's name in `/health`, such as `redis`.
    fn name(&self) -> &'static str;

    /// How it is now. Cancel-safe.
    async fn check(&self) -> ComponentHealth;
}

// === impl ComponentHealth ===

impl ComponentHealth {
    /// Everything works.
    #[must_use]
    pub const fn ok() -> Self {
        Self { status: HealthStatus::Ok, detail: None, latency_ms: None }
    }

    /// Works with a loss.
    #[must_use]
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { status: HealthStatus::Degraded, detail: Some(detail.into()), latency_ms: None }
    }

    /// Does not work.
    #[must_use]
    pub fn down(detail: impl Into<String>) -> Self {
        Self { status: HealthStatus::Down, detail: Some(detail.into()), latency_ms: None }
    }

    /// The same answer with something to know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same answer with the time the check took.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency_ms = Some(latency.as_secs_f64() * 1_000.0);
        self
    }
}
