//! The one door: every call has a name, a deadline, the breaker and a metric, and passes here.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use fred::{error::Error as DriverError, prelude::Client};

use super::Inner;
use crate::{
    Error, Operation,
    driver::classify::{Verdict, classify},
};

/// Counts a call while it waits, also when its future is dropped.
struct Pending<'a>(&'a AtomicU64);

// === impl Inner ===

impl Inner {
    /// Makes one call. Refused within microseconds when there is no connection or the breaker is open.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    pub(super) async fn through<T, F, Fut>(
        &self,
        name: &'static str,
        operation: impl Fn() -> Operation,
        call: F,
    ) -> Result<T, Error>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let started = Instant::now();
        let outcome = self.admitted(started, operation, call).await;
        let error = outcome.as_ref().err().map(Error::metric_label);
        self.metrics.called(name, started.elapsed(), error);
        outcome
    }

    async fn admitted<T, F, Fut>(
        &self,
        started: Instant,
        operation: impl Fn() -> Operation,
        call: F,
    ) -> Result<T, Error>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let link = self.links.pick(&operation)?;
        let permit = self.breaker.acquire().map_err(|rejected| Error::Unavailable {
            operation: operation(),
            reason: "the circuit breaker is open".to_owned(),
            retry_after: Some(rejected.retry_after),
        })?;
        let _pending = Pending::count(&self.pending);
        let outcome = call(link.client().clone()).await;
        let elapsed = started.elapsed();
        match outcome {
            Ok(value) => {
                permit.success(elapsed);
                Ok(value)
            }
            Err(error) => {
                let (error, verdict) = classify(operation(), &error, elapsed);
                match verdict {
                    Verdict::Healthy => permit.success(elapsed),
                    Verdict::Unhealthy => permit.failure(elapsed),
                    Verdict::Neutral => drop(permit),
                }
                Err(error)
            }
        }
    }

    /// The deadline of an ordinary call.
    pub(super) const fn deadline(&self) -> Duration {
        self.config.command_timeout
    }
}

// === impl Pending ===

impl<'a> Pending<'a> {
    fn count(pending: &'a AtomicU64) -> Self {
        pending.fetch_add(1, Ordering::Relaxed);
        Self(pending)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
