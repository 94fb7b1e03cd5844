//! Health, which answers with a reason and never with an error, and what the server tells of itself.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use trackside_core::{ComponentHealth, HealthCheck};
use trackside_resilience::BreakerState;

use super::{Inner, RedisService};
use crate::{
    Command, Error, Reply, ServerInfo,
    driver::call::{self, GRACE},
};

// === impl RedisService ===

impl RedisService {
    /// Asks for a sign of life and tells how long it took, whatever the breaker does with ordinary calls.
    ///
    /// # Errors
    /// Any [`Error`], within the health timeout.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let started = Instant::now();
        self.ask("redis.ping", Command::new("PING")).await?;
        Ok(started.elapsed())
    }

    /// What the server tells of itself, whatever the breaker does with ordinary calls; in Cluster, what one of the
    /// nodes does.
    ///
    /// # Errors
    /// Any [`Error`], within the health timeout.
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        const OPERATION: &str = "redis.info";
        // Several sections in one call need Redis 7; the default sections are in every version.
        let reply = self.ask(OPERATION, Command::new("INFO")).await?;
        let text = reply.into_string().map_err(|error| error.during(OPERATION))?;
        Ok(ServerInfo::parse(&text))
    }

    /// Round the breaker, which is one of the things that are asked about.
    async fn ask(&self, name: &'static str, command: Command) -> Result<Reply, Error> {
        let deadline = self.inner.health_deadline();
        self.inner.around(name, |client| async move { call::command(&client, command, deadline).await }).await
    }
}

// === impl Inner ===

impl Inner {
    /// So much earlier that the hard end of a call is within the health timeout too.
    fn health_deadline(&self) -> Duration {
        self.config.health_timeout.saturating_sub(GRACE)
    }
}

// === impl HealthCheck ===

#[async_trait]
impl HealthCheck for RedisService {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> ComponentHealth {
        match (self.ping().await, self.breaker()) {
            (Ok(latency), BreakerState::Closed) => ComponentHealth::ok().with_latency(latency),
            (Ok(latency), state) => {
                ComponentHealth::degraded(format!("circuit breaker: {state}")).with_latency(latency)
            }
            (Err(error), BreakerState::Closed) => ComponentHealth::down(error.to_string()),
            (Err(error), state) => ComponentHealth::down(format!("{error}; circuit breaker: {state}")),
        }
    }
}
