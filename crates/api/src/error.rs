//! How the failures of the domain become problems: the one place that decides status codes.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use trackside_core::{ErrorKind, InvalidName};

use trackside_queue::Enqueued;

use crate::problem::{AcceptedTask, FieldError, Problem, ProblemKind};

/// What a client is told to wait while the store is away: the circuit breaker asks again about as often.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// A problem by the kind of the failure alone. The words of a store are logged and never sent.
pub(crate) fn by_kind(kind: ErrorKind, error: impl StdError + Send + Sync + 'static) -> Problem {
    let problem = match kind {
        ErrorKind::Unavailable => Problem::new(ProblemKind::StoreUnavailable)
            .with_detail("the request had no effect")
            .with_retry_after(STORE_RETRY_AFTER),
        ErrorKind::Timeout => Problem::new(ProblemKind::StoreUnavailable)
            .with_detail("no answer in time; the outcome is unknown")
            .with_retry_after(STORE_RETRY_AFTER),
        ErrorKind::Refused => Problem::new(ProblemKind::StoreRefused).with_retry_after(STORE_RETRY_AFTER),
        ErrorKind::InvalidInput => Problem::new(ProblemKind::InvalidRequest).with_detail(error.to_string()),
        ErrorKind::NotFound => Problem::new(ProblemKind::NotFound).with_detail(error.to_string()),
        ErrorKind::Conflict => Problem::new(ProblemKind::Conflict).with_detail(error.to_string()),
        ErrorKind::LimitExceeded => Problem::new(ProblemKind::LimitExceeded)
            .with_detail(error.to_string())
            .with_retry_after(Duration::from_secs(1)),
        _ => Problem::new(ProblemKind::Internal),
    };
    let is_ours = matches!(kind, ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Conflict);
    if is_ours { problem } else { problem.with_source(error) }
}

impl From<trackside_queue::Error> for Problem {
    fn from(error: trackside_queue::Error) -> Self {
        use trackside_queue::Error;
        match error {
            Error::Item { index, source } => Self::from(*source).of_item(index),
            Error::Partly { added, given, source } => {
                let detail = format!("{} of {given} tasks were accepted; send the others again", added.len());
                let problem = Self::from(*source).with_detail(detail);
                // What a last group added, and could not make safe, is there too.
                let later = problem.tasks().to_vec();
                problem.with_tasks(added.iter().map(accepted).chain(later).collect())
            }
            error => Arc::new(error).into(),
        }
    }
}

fn accepted(task: &Enqueued) -> AcceptedTask {
    AcceptedTask { task_id: task.id.to_string(), status: task.state.as_str() }
}

impl From<Arc<trackside_queue::Error>> for Problem {
    fn from(error: Arc<trackside_queue::Error>) -> Self {
        use trackside_queue::Error;
        match &*error {
            Error::DurabilityUnavailable { reason, .. } => Self::new(ProblemKind::DurabilityUnavailable)
                .with_detail(reason.clone())
                .with_retry_after(STORE_RETRY_AFTER),
            Error::DurabilityNotReached { added, .. } => Self::new(ProblemKind::DurabilityNotReached)
                .with_retry_after(STORE_RETRY_AFTER)
                .with_tasks(added.iter().map(accepted).collect()),
            Error::QueueFull { retry_after } => Self::new(ProblemKind::QueueFull).with_retry_after(*retry_after),
            Error::IdempotencyKeyReused(_) => Self::new(ProblemKind::IdempotencyKeyReused)
                .with_field("idempotency_key", "it came with another request before"),
            // The one field that has another name on the wire.
            Error::InvalidTask { field: "retry", reason } => Self::invalid_field("backoff", reason),
            Error::InvalidTask { field, reason }
            | Error::InvalidPolicy { field, reason }
            | Error::InvalidSchedule { field, reason } => Self::invalid_field(*field, reason),
            Error::UnknownPredecessor(id) => Self::invalid_field("depends_on", format!("task {id} is unknown")),
            Error::LeaseLost(_) => Self::new(ProblemKind::LeaseLost).with_detail(error.to_string()),
            _ => by_kind(error.kind(), error),
        }
    }
}

impl From<trackside_progress::Error> for Problem {
    fn from(error: trackside_progress::Error) -> Self {
        match error {
            trackside_progress::Error::InvalidInput { field, reason } => Self::invalid_field(field, reason),
            _ => by_kind(error.kind(), error),
        }
    }
}

impl From<trackside_control::Error> for Problem {
    fn from(error: trackside_control::Error) -> Self {
        match error {
            trackside_control::Error::InvalidInput { field, reason } => Self::invalid_field(field, reason),
            _ => by_kind(error.kind(), error),
        }
    }
}

impl From<trackside_ratelimit::Error> for Problem {
    fn from(error: trackside_ratelimit::Error) -> Self {
        match error {
            trackside_ratelimit::Error::InvalidInput { field, reason } => Self::invalid_field(field, reason),
            _ => by_kind(error.kind(), error),
        }
    }
}

impl From<trackside_jobs::Error> for Problem {
    fn from(error: trackside_jobs::Error) -> Self {
        use trackside_jobs::Error;
        match error {
            Error::UnknownTool { ref name, ref suggestion } => Self::invalid(vec![FieldError {
                field: "tool".to_owned(),
                message: format!("no tool is called `{name}`"),
                suggestion: suggestion.clone(),
            }]),
            Error::InvalidParams { errors, .. } => {
                let field_error = |error: trackside_jobs::FieldError| FieldError {
                    field: error.field,
                    message: error.message,
                    suggestion: None,
                };
                Self::invalid(errors.into_iter().map(field_error).collect())
            }
            Error::InvalidCursor => Self::invalid_field("cursor", error.to_string()),
            Error::Queue(error) => error.into(),
            _ => by_kind(error.kind(), error),
        }
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        Self::invalid_field(error.what.replace(' ', "_"), error.rule)
    }
}
