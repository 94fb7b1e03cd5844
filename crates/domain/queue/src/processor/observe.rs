//! What a program may watch and decide beside its handlers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::StopReason;
use crate::{ClaimedTask, TaskState};

/// Told what happens to the tasks of a processor.
pub trait TaskObserver: Send + Sync + 'static {
    /// Takes an event. Called in the processor's loop: must neither block nor panic.
    fn on(&self, event: &TaskEvent);
}

/// What happened to a task in a processor.
///
/// Events of one attempt come in order; the last one comes when the store has applied it, so that it is durable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TaskEvent {
    /// Its handler was started.
    Started {
        /// The task.
        task: Arc<ClaimedTask>,
    },
    /// The attempt ended and the task is now in `state`: completed, failed (between attempts), dead or cancelled.
    Finished {
        /// The task.
        task: Arc<ClaimedTask>,
        /// Where it is now.
        state: TaskState,
        /// JSON text of the result, when it completed with one.
        result: Option<Bytes>,
        /// Why, when it did not complete.
        error: Option<String>,
        /// How long the handler ran.
        elapsed: Duration,
    },
    /// The attempt was broken off and the task given back; it is queued or parked.
    Returned {
        /// The task.
        task: Arc<ClaimedTask>,
        /// Why; `None` when the gate did not let it start.
        reason: Option<StopReason>,
    },
    /// The lease was lost; what the handler did is not recorded, and another worker may have the task.
    LeaseLost {
        /// The task.
        task: Arc<ClaimedTask>,
    },
}

/// Has the last word before a task starts: the brake as this process knows it.
///
/// The queue parks tasks of a braked user by itself. A gate closes the gap in which the brake is on in this process and
/// the store, which was away, does not know it yet.
pub trait StartGate: Send + Sync + 'static {
    /// False gives the task back. Must not block.
    fn may_start(&self, task: &ClaimedTask) -> bool;
}
