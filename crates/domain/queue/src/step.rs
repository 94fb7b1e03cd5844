//! A worker's round trip: what it says, and what it is answered.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use trackside_core::{QueueName, TaskId, Timestamp, WorkerId};

use crate::{ClaimedTask, Enqueued, Fence, NewTask, TaskState, causes};

/// One worker's round trip.
#[derive(Debug, Clone)]
pub struct Step {
    /// Who asks.
    pub worker: WorkerId,
    /// Tasks that are done with, at most [`MAX_BATCH`](crate::MAX_BATCH).
    pub settle: Vec<Settlement>,
    /// Leases to extend, at most [`MAX_BATCH`](crate::MAX_BATCH).
    pub renew: Vec<Renewal>,
    /// How many tasks may be handed out, at most [`MAX_BATCH`](crate::MAX_BATCH).
    pub credits: usize,
    /// How many tasks of the queue the worker takes at once, what it holds included; zero when it leaves (Q-L33). When it
    /// does not say, what it asks for besides what it holds.
    pub slots: Option<usize>,
    /// Whether the answer tells the attempts that the settlements end (Q-L31), for a caller that did not claim them.
    pub tell_attempts: bool,
    /// The lease of tasks that do not ask for one of their own.
    pub lease: Duration,
}

// === impl Step ===

impl Step {
    /// A step that does nothing yet.
    #[must_use]
    pub const fn new(worker: WorkerId, lease: Duration) -> Self {
        Self { worker, settle: Vec::new(), renew: Vec::new(), credits: 0, slots: None, tell_attempts: false, lease }
    }
}

/// What became of one task under lease.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The task.
    pub id: TaskId,
    /// Proof of the claim.
    pub fence: Fence,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with the JSON text of a result.
    Completed {
        /// JSON text.
        result: Option<Bytes>,
        /// What follows, each with its queue (Q-L23): up to [`MAX_NEXT`](crate::MAX_NEXT) tasks with up to
        /// [`MAX_BATCH`](crate::MAX_BATCH) dependencies altogether.
        next: Vec<(QueueName, NewTask)>,
    },
    /// The attempt failed (Q-L8).
    Failed {
        /// Why, in a line or a page; stores keep the first 2 KiB.
        error: String,
        /// Whether another attempt makes sense.
        retryable: bool,
        /// The wait before it, instead of the policy's.
        retry_after: Option<Duration>,
    },
    /// Given back unfinished (Q-L6): the worker shuts down, or the brake is on.
    Released,
    /// Called off while it ran.
    Cancelled {
        /// Why.
        reason: String,
    },
}

/// A lease to extend.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The task.
    pub id: TaskId,
    /// Proof of the claim.
    pub fence: Fence,
    /// How long from now.
    pub lease: Duration,
}

/// The answer to a [`Step`].
#[derive(Debug, Clone)]
pub struct StepReply {
    /// For each settlement, in order.
    pub settled: Vec<Settled>,
    /// Of each task whose completion brings others, where those are, in their order. Those that went to other queues
    /// are where they will begin.
    pub next: HashMap<TaskId, Vec<Enqueued>>,
    /// For each settlement, in order, the attempt that it ended just now; nothing unless [`Step::tell_attempts`].
    pub attempts: Vec<Option<EndedAttempt>>,
    /// For each renewal, in order.
    pub renewed: Vec<Renewed>,
    /// Tasks handed out, in the order of the queue.
    pub claimed: Vec<ClaimedTask>,
    /// Time until the next delayed task is due, the next lease ends, or a rate limit lets the next task through, where
    /// there is one. Zero: more was due than one step takes; ask again at once.
    pub next_due: Option<Duration>,
    /// True when ready tasks remain that a claim could be handed at once, also in a paused queue. False when all that
    /// remain are held back by the limits of the queue.
    pub more_ready: bool,
    /// True when the queue is paused.
    pub paused: bool,
    /// True when the queue has messages to other queues, which a relay must deliver (Q-L24).
    pub has_outbox: bool,
    /// The store's clock.
    pub now: Timestamp,
}

/// Whether a settlement was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The task is now in this state.
    Applied(TaskState),
    /// The lease was lost; nothing changed.
    LeaseLost,
}

/// An attempt that a settlement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAttempt {
    /// The kind of its task.
    pub kind: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// Whether a lease was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Until then, with what the holder must do.
    Extended {
        /// When it ends now.
        expires_at: Timestamp,
        /// What the holder must do.
        order: Option<Order>,
    },
    /// The lease was lost; stop working on it.
    LeaseLost,
}

/// What the holder of a lease must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop, and settle as cancelled.
    Cancel,
    /// Stop, and release: the brake is on.
    Pause,
}

// === impl Outcome ===

impl Outcome {
    /// A failed attempt, with what caused it, outermost first.
    #[must_use]
    pub fn failed(error: &str, causes: &[String], retryable: bool) -> Self {
        Self::Failed { error: causes::join(error, causes), retryable, retry_after: None }
    }

    /// Done, with nothing to follow.
    #[must_use]
    pub const fn completed(result: Option<Bytes>) -> Self {
        Self::Completed { result, next: Vec::new() }
    }

    /// The tasks that this brings.
    pub(crate) fn next(&self) -> &[(QueueName, NewTask)] {
        match self {
            Self::Completed { next, .. } => next,
            _ => &[],
        }
    }
}
