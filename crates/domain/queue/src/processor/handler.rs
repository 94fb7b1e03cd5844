//! What a program brings: handlers, and which kinds of tasks they are for.

use std::{collections::HashMap, error::Error as StdError, fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::TaskContext;
use crate::{ClaimedTask, causes};

/// Does the work of one kind of task.
///
/// A task may be handed out more than once: when a worker dies, what it held runs again. Make the work repeatable, or
/// write down under the task's id what has been done.
///
/// ```
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use trackside_queue::{ClaimedTask, TaskContext, TaskFailure, TaskHandler};
///
/// struct Shout;
///
/// #[async_trait]
/// impl TaskHandler for Shout {
///     async fn handle(&self, task: &ClaimedTask, _: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
///         let text: String = serde_json::from_slice(&task.payload).map_err(TaskFailure::permanent)?;
///         Ok(Some(serde_json::json!(text.to_uppercase()).to_string().into()))
///     }
/// }
/// ```
#[async_trait]
pub trait TaskHandler: Send + Sync + 'static {
    /// Does the work and answers the JSON text of the result, where there is one.
    ///
    /// The future is dropped when it does not return soon after [`TaskContext::stopped`]; a panic counts as a
    /// [retryable](TaskFailure::Retryable) failure.
    async fn handle(&self, task: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure>;
}

/// Why an attempt failed, and what is to happen next.
///
/// ```
/// use trackside_queue::TaskFailure;
/// let failure = TaskFailure::retryable("model overloaded");
/// assert_eq!(failure.to_string(), "model overloaded");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskFailure {
    /// Another attempt may succeed; it waits as the task's policy says.
    Retryable(String),
    /// Another attempt may succeed after this long.
    RetryAfter(Duration, String),
    /// No attempt will succeed: the task goes to the dead letters.
    Permanent(String),
}

/// Handlers by the kind of task.
///
/// ```
/// use trackside_queue::{Handlers, handler_fn};
/// let handlers = Handlers::new()
///     .on("mail.send", handler_fn(|task, _| async move { println!("{}", task.id); Ok(None) }));
/// assert_eq!(handlers.kinds().collect::<Vec<_>>(), ["mail.send"]);
/// ```
#[derive(Clone, Default)]
pub struct Handlers {
    by_kind: HashMap<String, Arc<dyn TaskHandler>>,
    fallback: Option<Arc<dyn TaskHandler>>,
}

/// A function as a handler; made by [`handler_fn`].
struct HandlerFn<F>(F);

/// Makes a handler of a function that takes the task and its context.
pub fn handler_fn<F, Fut>(function: F) -> impl TaskHandler
where
    F: Fn(Arc<ClaimedTask>, TaskContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Bytes>, TaskFailure>> + Send + 'static,
{
    HandlerFn(function)
}

// === impl HandlerFn ===

#[async_trait]
impl<F, Fut> TaskHandler for HandlerFn<F>
where
    F: Fn(Arc<ClaimedTask>, TaskContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Bytes>, TaskFailure>> + Send + 'static,
{
    async fn handle(&self, _: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
        (self.0)(Arc::clone(context.task()), context.clone()).await
    }
}

// === impl TaskFailure ===

impl TaskFailure {
    /// A failure after which another attempt may succeed.
    pub fn retryable(reason: impl fmt::Display) -> Self {
        Self::Retryable(reason.to_string())
    }

    /// A failure after which no attempt will succeed.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self::Permanent(reason.to_string())
    }

    /// A failure after which another attempt may succeed, with everything that led to it: the error and each of its
    /// [sources](StdError::source), which the status of the task tells apart.
    ///
    /// ```
    /// use trackside_queue::TaskFailure;
    /// let error = std::io::Error::other("disk full");
    /// assert_eq!(TaskFailure::from_error(&error).reason(), "disk full");
    /// ```
    #[must_use]
    pub fn from_error(error: &dyn StdError) -> Self {
        Self::Retryable(causes::text_of(error))
    }

    /// As [`from_error`](Self::from_error), after which no attempt will succeed.
    #[must_use]
    pub fn permanent_error(error: &dyn StdError) -> Self {
        Self::Permanent(causes::text_of(error))
    }

    /// Why it failed.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retryable(reason) | Self::RetryAfter(_, reason) | Self::Permanent(reason) => reason,
        }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl StdError for TaskFailure {}

// === impl Handlers ===

impl Handlers {
    /// None yet. A task of a kind without a handler goes to the dead letters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends tasks of `kind` to `handler`, in place of an earlier one.
    #[must_use]
    pub fn on(mut self, kind: impl Into<String>, handler: impl TaskHandler) -> Self {
        self.by_kind.insert(kind.into(), Arc::new(handler));
        self
    }

    /// Sends tasks of every other kind to `handler`.
    #[must_use]
    pub fn fallback(mut self, handler: impl TaskHandler) -> Self {
        self.fallback = Some(Arc::new(handler));
        self
    }

    /// The kinds that have a handler of their own.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.by_kind.keys().map(String::as_str)
    }

    pub(super) fn find(&self, kind: &str) -> Option<Arc<dyn TaskHandler>> {
        self.by_kind.get(kind).or(self.fallback.as_ref()).cloned()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<_> = self.kinds().collect();
        kinds.sort_unstable();
        f.debug_struct("Handlers").field("kinds", &kinds).field("fallback", &self.fallback.is_some()).finish()
    }
}
