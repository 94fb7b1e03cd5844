//! Enqueues of many callers in one call.

use std::sync::Arc;

use thiserror::Error as ThisError;
use tokio_util::task::TaskTracker;
use trackside_redis::gather::{Entry, Gather, enter};

use super::{Inner, Line, scripts::SCRIPT_TASKS};
use crate::{Error, NewTask};

/// Bytes of payload that are gathered in one call.
const MAX_BYTES: usize = 128 * 1024;

/// The tasks of callers, who wait to hear whether they were taken in.
pub(super) type Gathering = trackside_redis::gather::Gathering<Vec<NewTask>, Result<bool, Error>>;

/// The fast way into one queue.
#[derive(Debug, Clone)]
struct FastEnqueue {
    inner: Arc<Inner>,
    line: Arc<Line>,
}

/// The failure of a call that many callers share.
#[derive(Debug, Clone, ThisError)]
#[error(transparent)]
struct Shared(Arc<Error>);

// === impl FastEnqueue ===

impl Gather for FastEnqueue {
    type Question = Vec<NewTask>;
    type Answer = Result<bool, Error>;

    const MAX_CALLS: usize = 2;

    fn gathering(&self) -> &Gathering {
        &self.line.gathering
    }

    fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    fn fitting<'q>(&self, left: impl Iterator<Item = &'q Vec<NewTask>>) -> usize {
        let (mut count, mut bytes) = (0, 0);
        let fits = |tasks: &&Vec<NewTask>| {
            count += tasks.len();
            bytes += tasks.iter().map(|task| task.payload.len()).sum::<usize>();
            count <= SCRIPT_TASKS && bytes <= MAX_BYTES
        };
        left.take_while(fits).count()
    }

    async fn ask(&self, left: Vec<Vec<NewTask>>) -> Vec<Result<bool, Error>> {
        let callers = left.len();
        let tasks: Vec<NewTask> = left.into_iter().flatten().collect();
        let outcome = self.inner.enqueue_fast(&self.line, &tasks).await.map_err(|error| Shared(Arc::new(error)));
        let answer = |_| match &outcome {
            Ok(is_taken) => Ok(*is_taken),
            Err(shared) => Err(shared.error()),
        };
        (0..callers).map(answer).collect()
    }
}

// === impl Shared ===

impl Shared {
    fn error(&self) -> Error {
        let (operation, kind) = match &*self.0 {
            Error::Store { operation, kind, .. } => (*operation, *kind),
            other => ("queue.enqueue", other.kind()),
        };
        Error::Store { operation, kind, source: Box::new(self.clone()) }
    }
}

// === impl Inner ===

impl Inner {
    /// Adds tasks in the fast way, alone or together with those of others; answers false, and did nothing, when that is
    /// not possible.
    pub(super) async fn enqueue_gathered(self: &Arc<Self>, line: &Arc<Line>, tasks: &[NewTask]) -> Result<bool, Error> {
        let way = FastEnqueue { inner: Arc::clone(self), line: Arc::clone(line) };
        match enter(&way, || tasks.to_vec()).await {
            Entry::Answered(outcome) => outcome,
            // Safe also where they were taken in and nobody said so: then their ids are known.
            Entry::Alone(_turn) => self.enqueue_fast(line, tasks).await,
        }
    }
}
