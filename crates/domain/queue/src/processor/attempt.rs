//! One attempt at one task: the handler, its time limit, its stop order, and what comes of it.

use std::{any::Any, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trackside_core::QueueName;

use super::{StopReason, TaskContext, TaskFailure, TaskHandler, context::StopSignal};
use crate::{ClaimedTask, Fence, NewTask, Outcome};

/// What a handler is run with.
pub(super) struct Attempt {
    /// `None` when there is no handler for the kind.
    pub(super) handler: Option<Arc<dyn TaskHandler>>,
    pub(super) task: Arc<ClaimedTask>,
    pub(super) context: TaskContext,
    pub(super) stop: StopSignal,
    /// Drops the handler at once: its lease is about to end.
    pub(super) abort: CancellationToken,
    pub(super) timeout: Duration,
    /// How long the handler may take to return after it was told to stop.
    pub(super) grace: Duration,
}

/// An attempt that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) fence: Fence,
    pub(super) verdict: Verdict,
    /// The tasks that a result brings.
    pub(super) next: Vec<(QueueName, NewTask)>,
    pub(super) elapsed: Duration,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The handler returned.
    Returned(Result<Option<Bytes>, TaskFailure>),
    /// The handler panicked with this message.
    Panicked(String),
    /// The handler did not return in time after it was told to stop, and was dropped.
    Abandoned,
}

// === impl Attempt ===

impl Attempt {
    pub(super) async fn run(self) -> Ended {
        let started = Instant::now();
        let verdict = self.verdict().await;
        Ended { fence: self.task.fence, verdict, next: self.context.take_next(), elapsed: started.elapsed() }
    }

    async fn verdict(&self) -> Verdict {
        let Some(handler) = &self.handler else {
            return Verdict::Returned(Err(TaskFailure::Permanent(format!("no handler for kind {}", self.task.kind))));
        };
        // The panic is answered here, where the task is known. What the handler shares with other tasks is its own
        // business to keep whole, as with any panic in a thread.
        let work = async { handler.handle(&self.task, &self.context).await };
        let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
        tokio::select! {
            biased;
            result = &mut work => return Verdict::of(result),
            () = self.abort.cancelled() => return Verdict::Abandoned,
            () = self.stop.stopped() => {}
            () = tokio::time::sleep(self.timeout) => {
                self.stop.stop(StopReason::TimedOut);
            }
        }
        tokio::select! {
            biased;
            result = work => Verdict::of(result),
            () = self.abort.cancelled() => Verdict::Abandoned,
            () = tokio::time::sleep(self.grace) => Verdict::Abandoned,
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn of(result: Result<Result<Option<Bytes>, TaskFailure>, Box<dyn Any + Send>>) -> Self {
        result.map_or_else(|panic| Self::Panicked(panic_message(&*panic)), Self::Returned)
    }

    /// What becomes of the task: a result counts however late it comes, and brings what is next; otherwise the reason
    /// to stop decides, and otherwise the failure.
    pub(super) fn outcome(
        self,
        stop: Option<StopReason>,
        timeout: Duration,
        next: Vec<(QueueName, NewTask)>,
    ) -> Outcome {
        let failure = match (self, stop) {
            (Self::Returned(Ok(result)), _) => return Outcome::Completed { result, next },
            (_, Some(StopReason::Cancelled)) => {
                return Outcome::Cancelled { reason: "cancelled while it ran".to_owned() };
            }
            (_, Some(StopReason::Paused | StopReason::ShuttingDown | StopReason::LeaseLost)) => {
                return Outcome::Released;
            }
            (_, Some(StopReason::TimedOut)) => {
                TaskFailure::Retryable(format!("timed out after {} ms", timeout.as_millis()))
            }
            (Self::Returned(Err(failure)), None) => failure,
            (Self::Panicked(message), None) => TaskFailure::Retryable(format!("handler panicked: {message}")),
            // Only the end of the lease drops a handler without an order to stop.
            (Self::Abandoned, None) => return Outcome::Released,
        };
        let retryable = !matches!(failure, TaskFailure::Permanent(_));
        let retry_after = match failure {
            TaskFailure::RetryAfter(delay, _) => Some(delay),
            _ => None,
        };
        Outcome::Failed { error: failure.reason().to_owned(), retryable, retry_after }
    }

    /// The error type in metrics; `None` for a result.
    pub(super) const fn error_type(&self, stop: Option<StopReason>) -> Option<&'static str> {
        match (self, stop) {
            (Self::Returned(Ok(_)), _) => None,
            (_, Some(reason)) => Some(reason.as_str()),
            (Self::Panicked(_), None) => Some("panic"),
            (_, None) => Some("handler_error"),
        }
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(1_500);

    fn failed(error: &str, retryable: bool, retry_after: Option<Duration>) -> Outcome {
        Outcome::Failed { error: error.to_owned(), retryable, retry_after }
    }

    #[test]
    fn a_result_counts_even_after_the_order_to_stop() {
        for stop in [None, Some(StopReason::TimedOut), Some(StopReason::Cancelled), Some(StopReason::Paused)] {
            let outcome = Verdict::Returned(Ok(None)).outcome(stop, LIMIT, vec![]);
            assert_eq!(outcome, Outcome::completed(None), "{stop:?}");
        }
    }

    #[test]
    fn without_a_result_the_reason_to_stop_decides() {
        let failure = || Verdict::Returned(Err(TaskFailure::permanent("stopped half way")));
        for stop in [StopReason::Paused, StopReason::ShuttingDown, StopReason::LeaseLost] {
            assert_eq!(failure().outcome(Some(stop), LIMIT, vec![]), Outcome::Released, "{stop:?}");
            assert_eq!(Verdict::Abandoned.outcome(Some(stop), LIMIT, vec![]), Outcome::Released, "{stop:?}");
        }
        assert!(matches!(failure().outcome(Some(StopReason::Cancelled), LIMIT, vec![]), Outcome::Cancelled { .. }));
        let timed_out = failed("timed out after 1500 ms", true, None);
        assert_eq!(failure().outcome(Some(StopReason::TimedOut), LIMIT, vec![]), timed_out);
    }

    #[test]
    fn a_failure_says_whether_and_when_to_try_again() {
        let outcome = |failure| Verdict::Returned(Err(failure)).outcome(None, LIMIT, vec![]);
        assert_eq!(outcome(TaskFailure::retryable("busy")), failed("busy", true, None));
        assert_eq!(outcome(TaskFailure::permanent("no such page")), failed("no such page", false, None));
        let later = Duration::from_secs(7);
        assert_eq!(outcome(TaskFailure::RetryAfter(later, "slow down".into())), failed("slow down", true, Some(later)));
        let panicked = Verdict::Panicked("index out of bounds".into()).outcome(None, LIMIT, vec![]);
        assert_eq!(panicked, failed("handler panicked: index out of bounds", true, None));
    }
}
