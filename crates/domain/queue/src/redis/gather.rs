//! Enqueues of many callers in one call.
//!
//! A call costs the server several times what a task in it costs. While two are on their way for a queue, further callers
//! leave their tasks here; the next call takes all of them along, so that load makes its own batches and nobody waits for
//! company.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error as ThisError;
use tokio::{runtime::Handle, sync::oneshot};

use super::{Inner, Line, scripts::SCRIPT_TASKS};
use crate::{Error, NewTask};

/// Calls that may be on their way before further callers are gathered.
const MAX_CALLS: usize = 2;
/// Bytes of payload that are gathered in one call.
const MAX_BYTES: usize = 128 * 1024;

/// What callers left.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    left: Vec<Left>,
}

/// The tasks of one caller, who waits to hear whether they were taken in.
#[derive(Debug)]
struct Left {
    tasks: Vec<NewTask>,
    caller: oneshot::Sender<Result<bool, Error>>,
}

/// A call on its way. When it ends, however it does, somebody takes along what was left.
struct Turn {
    inner: Arc<Inner>,
    line: Arc<Line>,
}

/// The failure of a call that many callers share.
#[derive(Debug, Clone, ThisError)]
#[error(transparent)]
struct Shared(Arc<Error>);

// === impl Gathering ===

impl Gathering {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the caller may make a call of its own; else its tasks are left here.
    fn enter(&self, tasks: &[NewTask]) -> Result<(), oneshot::Receiver<Result<bool, Error>>> {
        self.with(|state| {
            if state.calls < MAX_CALLS {
                state.calls += 1;
                return Ok(());
            }
            let (caller, answer) = oneshot::channel();
            state.left.push(Left { tasks: tasks.to_vec(), caller });
            Err(answer)
        })
    }

    /// What goes into the next call, the oldest first; nothing when nobody left anything.
    fn next(&self) -> Vec<Left> {
        self.with(|state| {
            let (mut tasks, mut bytes) = (0, 0);
            let fits = |left: &&Left| {
                tasks += left.tasks.len();
                bytes += left.tasks.iter().map(|task| task.payload.len()).sum::<usize>();
                tasks <= SCRIPT_TASKS && bytes <= MAX_BYTES
            };
            let count = state.left.iter().take_while(fits).count();
            let count = count.max(usize::from(!state.left.is_empty()));
            state.left.drain(..count).collect()
        })
    }
}

// === impl Turn ===

impl Drop for Turn {
    fn drop(&mut self) {
        let is_left = self.line.gathering.with(|state| {
            if state.left.is_empty() {
                state.calls -= 1;
            }
            !state.left.is_empty()
        });
        if !is_left {
            return;
        }
        let next = Self { inner: Arc::clone(&self.inner), line: Arc::clone(&self.line) };
        match Handle::try_current() {
            Ok(runtime) => drop(self.inner.tasks.spawn_on(next.take_along(), &runtime)),
            // Dropped where nothing can run: whoever left something asks alone.
            Err(_) => self.line.gathering.with(|state| state.left.clear()),
        }
    }
}

impl Turn {
    async fn take_along(self) {
        loop {
            let left = self.line.gathering.next();
            if left.is_empty() {
                break;
            }
            let (tasks, callers): (Vec<_>, Vec<_>) = left.into_iter().map(|left| (left.tasks, left.caller)).unzip();
            let tasks: Vec<NewTask> = tasks.into_iter().flatten().collect();
            let outcome = self.inner.enqueue_fast(&self.line, &tasks).await.map_err(|error| Shared(Arc::new(error)));
            for caller in callers {
                let answer = match &outcome {
                    Ok(is_taken) => Ok(*is_taken),
                    Err(shared) => Err(shared.error()),
                };
                // A caller that is gone needs no answer.
                let _gone = caller.send(answer);
            }
        }
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
        match line.gathering.enter(tasks) {
            Ok(()) => {
                let _turn = Turn { inner: Arc::clone(self), line: Arc::clone(line) };
                self.enqueue_fast(line, tasks).await
            }
            // Without an answer, asking alone is safe: the ids are known by then.
            Err(answer) => answer.await.unwrap_or(Ok(false)),
        }
    }
}
