//! What a limiter does by itself: it learns of overrides and tells other processes that it is there.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::RateLimiter;
use crate::Error;

/// A process that has not been heard of for so long has gone.
const PRESENT_FOR: Duration = Duration::from_secs(10);

// === impl RateLimiter ===

impl RateLimiter {
    /// Keeps the limiter up to date until `shutdown` is cancelled. Without it, overrides that others set are not obeyed.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut ticks = interval(self.inner.sync_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.sync().await {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "rate limits: the store cannot be asked for overrides; the last known ones are obeyed"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Learns what all know.
    pub(super) async fn sync(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let before = inner.overrides.version();
        let shared = inner.store.sync(inner.process.as_str(), PRESENT_FOR, before).await?;
        inner.processes.store(shared.processes.max(1), Ordering::Relaxed);
        if let Some((version, overrides)) = shared.overrides {
            inner.overrides.replace(version, overrides);
            inner.table.forget_denials();
        }
        Ok(())
    }
}
