//! The one door: every call has a name, a deadline, the breaker and a metric, and passes here. Only the questions after
//! the server's health go round the breaker, since they ask what it is to be told.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use fred::{
    error::{Error as DriverError, ErrorKind as DriverKind},
    prelude::Client,
};

use super::Inner;
use crate::{
    Error, Operation, Reply,
    driver::classify::{Verdict, classify},
    link::Link,
};

/// What came back from a call that was answered.
pub(super) trait Answer {
    /// The errors among the replies.
    fn errors(&self) -> impl Iterator<Item = &DriverError>;
}

/// Counts a call while it waits, also when its future is dropped.
struct Pending<'a>(&'a AtomicU64);

// === impl Answer ===

impl Answer for Reply {
    fn errors(&self) -> impl Iterator<Item = &DriverError> {
        std::iter::empty()
    }
}

impl Answer for Vec<Result<Reply, DriverError>> {
    fn errors(&self) -> impl Iterator<Item = &DriverError> {
        self.iter().filter_map(|reply| reply.as_ref().err())
    }
}

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
        T: Answer,
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let started = Instant::now();
        let outcome = self.admitted(started, &operation, call).await;
        let label = match &outcome {
            Ok((_, worst)) => worst.as_ref().map(Error::metric_label),
            Err(error) => Some(error.metric_label()),
        };
        self.metrics.called(name, started.elapsed(), label);
        outcome.map(|(answer, _)| answer)
    }

    /// Makes one call whatever the breaker says, and tells it nothing: for what asks whether the server is well.
    pub(super) async fn around<F, Fut>(&self, name: &'static str, call: F) -> Result<Reply, Error>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<Reply, DriverError>>,
    {
        let started = Instant::now();
        let outcome = match self.links.pick(|| Operation::new(name)) {
            Ok(link) => self
                .counted(link, call)
                .await
                .map_err(|error| classify(Operation::new(name), &error, started.elapsed()).0),
            Err(error) => Err(error),
        };
        self.metrics.called(name, started.elapsed(), outcome.as_ref().err().map(Error::metric_label));
        outcome
    }

    /// The answer comes with the worst error among its replies.
    async fn admitted<T, F, Fut>(
        &self,
        started: Instant,
        operation: &impl Fn() -> Operation,
        call: F,
    ) -> Result<(T, Option<Error>), Error>
    where
        T: Answer,
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let link = self.links.pick(operation)?;
        let permit = self.breaker.acquire().map_err(|rejected| Error::Unavailable {
            operation: operation(),
            reason: "the circuit breaker is open".to_owned(),
            retry_after: Some(rejected.retry_after),
        })?;
        let outcome = self.counted(link, call).await;
        let elapsed = started.elapsed();
        let (outcome, verdict) = match outcome {
            Ok(answer) => match self.worst(&answer, operation, elapsed) {
                None => (Ok((answer, None)), Verdict::Healthy),
                Some((error, verdict)) => (Ok((answer, Some(error))), verdict),
            },
            Err(error) => {
                let (error, verdict) = self.judge(operation, &error, elapsed);
                (Err(error), verdict)
            }
        };
        match verdict {
            Verdict::Healthy => permit.success(elapsed),
            Verdict::Unhealthy => permit.failure(elapsed),
            Verdict::Neutral => drop(permit),
        }
        outcome
    }

    async fn counted<T, F, Fut>(&self, link: &Link, call: F) -> Result<T, DriverError>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let _pending = Pending::count(&self.pending);
        call(link.client().clone()).await
    }

    /// What speaks loudest against the server among the replies, or, when nothing does, the first error.
    fn worst(
        &self,
        answer: &impl Answer,
        operation: &impl Fn() -> Operation,
        elapsed: Duration,
    ) -> Option<(Error, Verdict)> {
        let mut errors = answer.errors().map(|error| self.judge(operation, error, elapsed));
        let first = errors.next()?;
        if first.1 == Verdict::Unhealthy {
            return Some(first);
        }
        Some(errors.find(|(_, verdict)| *verdict == Verdict::Unhealthy).unwrap_or(first))
    }

    /// A caller who waits for less than the server is given says nothing about it by leaving.
    fn judge(&self, operation: &impl Fn() -> Operation, error: &DriverError, elapsed: Duration) -> (Error, Verdict) {
        let (told, verdict) = classify(operation(), error, elapsed);
        let impatient = *error.kind() == DriverKind::Timeout && elapsed < self.deadline();
        (told, if impatient { Verdict::Neutral } else { verdict })
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
