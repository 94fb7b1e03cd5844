//! The port: what a queue store does, and the laws that every store obeys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, TaskId, Timestamp};

use crate::{
    BrakeChange, BrakePage, BrakeScope, DeadCursor, DeadLetter, DeadRef, Enqueued, Error, Intake, NewTask,
    OutboxMessage, OutboxPage, OutboxRequest, Priority, QueueAudit, QueuePolicy, QueueStats, RepairCursor, RepairPage,
    Step, StepReply, TaskState, TaskStatus, WorkerStatus,
};

/// Items that one call may carry, so that no script runs for long.
pub const MAX_BATCH: usize = 256;

/// Where queues live.
///
/// Every method is one round trip, atomic and bounded: more items than [`MAX_BATCH`], or a greater limit, are refused as
/// [`Error::BatchTooLarge`] before anything happens. A timeout means that the outcome is unknown; every method may be
/// repeated (Q-L1, Q-L4). No method but [`wait_for_work`](Self::wait_for_work) is cancel-safe: a dropped call may still
/// have its effect.
///
/// # Laws
/// Each law is a function in the `conformance` module (of the feature with that name) and runs against every store.
///
/// - **Q-L1 enqueue once** — enqueueing the same id again, at any time within the retention, changes nothing.
/// - **Q-L2 conservation** — a task is at every moment in exactly one place: ready, delayed, parked, active, dead or
///   finished; no operation, and no crash of a caller at any point, loses one.
/// - **Q-L3 one holder** — at most one live lease per task; fences of a queue strictly increase.
/// - **Q-L4 fenced** — settling or renewing with a fence that is not the current one changes nothing and answers
///   *lease lost*; repeating a settlement that was applied, with its own fence, answers as the first time. Of each
///   task the last settlement is remembered.
/// - **Q-L5 order** — critical before high before normal before low; inside a level, first in first out.
/// - **Q-L6 give-back** — a released task returns to the head of its level and the attempt is not counted.
/// - **Q-L7 due times** — a delayed task is not handed out before it is due by the store's clock, and is once it is.
/// - **Q-L8 retry** — a failed attempt waits as its policy says; after `max_attempts`, or when it must not be retried,
///   the task is dead, with the reason and its payload.
/// - **Q-L9 crash loop** — a lease that ends unsettled is a crash: the task returns to the head of its level; after
///   `max_crashes` it is dead. Crashes and failed attempts are counted apart.
/// - **Q-L10 stall** — when no step reached the queue for longer than the stall threshold (everybody was cut off),
///   leases that ended meanwhile are given a grace before they count as crashes.
/// - **Q-L11 brake** — tasks of a braked user are parked when they would be claimed; leases on them carry
///   [`Order::Pause`](crate::Order::Pause); unparking returns them to the head of their level in the order in which they were made (those of
///   everyone in that order within each call). Brake updates with an older or equal revision change nothing.
/// - **Q-L12 cancel** — a task that is not active is cancelled at once and never handed out; an active one carries
///   [`Order::Cancel`](crate::Order::Cancel) from the next renewal on. Only a completion is stronger than the order: a release, a failure or a
///   crash of a task that carries it ends it as cancelled.
/// - **Q-L13 pause** — a paused queue hands out nothing, and still accepts, settles and renews.
/// - **Q-L14 status** — every task has a status from enqueue until the retention after its end is over, also when its
///   dead letter was purged.
/// - **Q-L15 wake-up** — [`QueueStore::wait_for_work`] returns soon after a task is enqueued or returned, and at the
///   latest after its timeout; dropping it loses nothing. That a delayed task or a lease falls due wakes nobody: a
///   worker knows it from [`StepReply::next_due`].
/// - **Q-L16 expiry** — a task is not handed out at or after its `expires_at`, by the store's clock; when its turn comes,
///   it ends as cancelled instead, with the error "expired before it started".
/// - **Q-L17 idempotency key** — a task whose key was given before, within `idempotency_ttl`, adds nothing and answers
///   the task that came first under it, wherever that is now (completed, when nothing is kept of it any more). The key
///   with a request of another content is refused, naming that task, and the whole call with it. What makes the content is everything but
///   the id, the correlation id and the trace.
/// - **Q-L25 places** — never more tasks of a queue under lease than its policy allows, nor of a tenant; leases that end
///   make room by themselves. Tasks that were under lease when the policy was set count.
/// - **Q-L26 rates** — tasks of a queue, and of a tenant, are handed out no more often than its policy allows; those that
///   must wait stay where they are, and [`StepReply::next_due`] says until when. A new policy starts afresh.
/// - **Q-L27 turns** — where tenants take turns, each is handed its tasks in the order in which they were made, so many
///   in a turn, inside each level; a tenant that must wait keeps nobody else waiting. Switching it on and off loses
///   nothing.
/// - **Q-L28 age** — where the age of tasks counts, the next task of a level that is ready for longer than allowed goes
///   before younger ones of higher levels, the oldest first. One claim may answer for a few of them.
/// - **Q-L21 dependencies** — a task with predecessors is handed out only after every one of them has completed. It
///   waits in state *waiting*, and becomes ready, or delayed when it is not due, in the step that brings the last
///   completion or in one of the next ones: a step tells at most 64 tasks. A predecessor must be known when the task is
///   enqueued, or be before it in the same call, so that no cycle is possible; otherwise nothing is enqueued.
/// - **Q-L22 failed predecessors** — when a predecessor dies or is called off, or had before, the task dies, is called off
///   too, or goes on as if it had completed, as its [`OnFailure`](crate::OnFailure) says, and so on along a chain; the
///   reason names the first failure. What was decided stays: requeueing the predecessor does not bring the task back, and
///   requeueing the task runs it without waiting again.
/// - **Q-L23 next tasks** — the tasks that a completion brings are enqueued with it in one step, or not at all: not with a
///   lost lease, and not again when the completion is repeated, which is answered with where they are then. They are
///   never refused, neither for want of room nor for what they wait for: a task of which nothing is known counts as
///   failed.
/// - **Q-L24 outbox** — what concerns another queue is written down in the same step as what causes it, and stays until
///   it is said to be delivered. A message that was heard changes nothing when it is delivered again, whatever is known
///   by then of the tasks that it speaks of: its effect comes once, whoever dies where. One relay at a time has its turn;
///   the turn of one that died ends by itself.
/// - **Q-L29 audit** — the tasks ever accepted are those that are somewhere now and those that ended; both are counted
///   at one moment, so that the balance holds at every moment, whatever is going on.
/// - **Q-L30 repair** — a repair leaves a sound queue as it is, whatever is going on; of a queue that somebody broke it
///   returns each task that is in no place to the tail of its level, and drops each entry that names no task.
/// - **Q-L18 unique** — while a task holds a unique key, another one that asks for it adds nothing and answers the
///   holder. The key is free when the holder starts for the first time, or has ended or died, as the holder asked; what
///   returns to the queue after that does not take it back.
/// - **Q-L19 retention** — a task that asks for a retention of its own is known for exactly that long after its end,
///   and not at all when it is zero: then neither its status, nor a repeated settlement, nor its id is recognised.
/// - **Q-L20 admission** — a call that would bring a queue above `max_depth` (unfinished tasks without dead letters) or
///   `max_bytes` of its [`QueuePolicy`] is refused as a whole; what is known already is answered all the same. Only new
///   tasks are refused: whatever is in the queue goes on, and nothing is trimmed.
/// - **Q-L31 history** — a task tells its last ten attempts that failed or crashed: when, by whom, and why; also as a
///   dead letter and after its end. A letter that is meant by its time of death is left alone when it died anew. A step
///   that asks is told the attempts that its settlements end, each once.
/// - **Q-L32 dead letters are bounded** — those that are too old, and the oldest of those that are too many, are told to
///   whoever prunes; a newer one is never among them.
/// - **Q-L33 workers** — a worker that asks for tasks, or says how many places it has, is listed with what it holds: until
///   it says that it has none any more, or has not been seen for a minute, and in any case while it holds something. What
///   it said may be some seconds old; what it holds is not.
#[async_trait]
pub trait QueueStore: Send + Sync + Debug + 'static {
    /// Makes the queue known, so that it is listed. Answers true the first time. A queue that was never registered
    /// works all the same.
    async fn register(&self, queue: &QueueName) -> Result<bool, Error>;

    /// The names of all known queues, sorted.
    async fn queues(&self) -> Result<Vec<QueueName>, Error>;

    /// Adds up to [`MAX_BATCH`] tasks with up to as many [dependencies](crate::Dependency) altogether, all or nothing; a
    /// [`Durability`](crate::Durability) that the store does not offer is refused. The answer says of each where it is, in
    /// the same order.
    async fn enqueue_with(&self, queue: &QueueName, tasks: &[NewTask], intake: Intake) -> Result<Vec<Enqueued>, Error>;

    /// [`enqueue_with`](Self::enqueue_with) nothing further said.
    async fn enqueue(&self, queue: &QueueName, tasks: &[NewTask]) -> Result<Vec<Enqueued>, Error> {
        self.enqueue_with(queue, tasks, Intake::default()).await
    }

    /// Everything a worker does, in one round trip: settle, renew, and claim.
    ///
    /// In this order: settlements, renewals, promotion of due tasks, return of expired leases, claim.
    async fn step(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error>;

    /// Messages of the queue to others, for the relay whose turn it is, in the order of their numbers (Q-L24); and those that
    /// are delivered are removed.
    async fn outbox(&self, queue: &QueueName, request: &OutboxRequest) -> Result<OutboxPage, Error>;

    /// Tells the queue what `from` has to say to it: up to [`MAX_MESSAGES`](crate::MAX_MESSAGES) with up to [`MAX_BATCH`]
    /// dependencies altogether, in the order of their numbers, and none of them before those that came earlier. Answers
    /// whether the queue has something to say to others now.
    async fn deliver(&self, queue: &QueueName, from: &QueueName, messages: &[OutboxMessage]) -> Result<bool, Error>;

    /// Returns when there may be work, or after `timeout`. Spurious returns are allowed. Cancel-safe.
    async fn wait_for_work(&self, queue: &QueueName, timeout: Duration) -> Result<(), Error>;

    /// A [`step`](Self::step) that settles and renews nothing, made when there may be work, after `patience`, or soon
    /// after `hurry` is cancelled; where the store can, at the very moment and without another round trip.
    ///
    /// Answers `None` when it only waited, as [`wait_for_work`](Self::wait_for_work) does, and an error only when the
    /// wait failed. Like a step, it is not cancel-safe: end it by `hurry`.
    async fn step_when_ready(
        &self,
        queue: &QueueName,
        step: Step,
        patience: Duration,
        hurry: &CancellationToken,
    ) -> Result<Option<StepReply>, Error> {
        drop(step);
        match hurry.run_until_cancelled(self.wait_for_work(queue, patience)).await {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(None),
        }
    }

    /// The status of a task, or `None` when nothing is known of it.
    async fn status(&self, queue: &QueueName, id: TaskId) -> Result<Option<TaskStatus>, Error>;

    /// The next `limit` (at most [`MAX_BATCH`]) ready tasks in the order in which they would be handed out, but for age
    /// (Q-L28); where tenants take turns, those that a limit holds back come last.
    async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<PeekedTask>, Error>;

    /// Counts and ages.
    async fn stats(&self, queue: &QueueName) -> Result<QueueStats, Error>;

    /// Stops or restarts handing out tasks (Q-L13).
    async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error>;

    /// Replaces the limits of the queue, for all processes (Q-L25 to Q-L28).
    async fn set_policy(&self, queue: &QueueName, policy: &QueuePolicy) -> Result<(), Error>;

    /// The limits of the queue; the default limits nothing.
    async fn policy(&self, queue: &QueueName) -> Result<QueuePolicy, Error>;

    /// Calls a task off (Q-L12). Answers the state it had, or `None` when nothing is known of it; a finished or dead
    /// task is left as it is.
    async fn cancel(&self, queue: &QueueName, id: TaskId, reason: &str) -> Result<Option<TaskState>, Error>;

    /// Applies a change of the brake (Q-L11).
    async fn set_brake(&self, queue: &QueueName, change: &BrakeChange) -> Result<(), Error>;

    /// Returns up to `limit` (at most [`MAX_BATCH`]) parked tasks of a user to their levels; answers how many. Does
    /// nothing while the user is braked in this queue. Call until it answers less than `limit`.
    async fn unpark(&self, queue: &QueueName, scope: &BrakeScope, limit: usize) -> Result<usize, Error>;

    /// A page of the brakes that are on in this queue (Q-L11), about [`MAX_BATCH`] of them. The walk begins with cursor 0
    /// and is over when the answer's is 0; a brake that is on all the while is in one of its pages at least.
    async fn braked(&self, queue: &QueueName, cursor: u64) -> Result<BrakePage, Error>;

    /// How many tasks are parked: those of a user, or all of them.
    async fn parked(&self, queue: &QueueName, scope: &BrakeScope) -> Result<u64, Error>;

    /// A page of dead letters, newest first: up to `limit` that are older than `cursor` (all of them when `None`).
    async fn dead_letters(
        &self,
        queue: &QueueName,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error>;

    /// Returns dead letters to the tail of their level with their attempts and crashes forgotten; answers how many.
    async fn requeue_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error>;

    /// Removes dead letters and their payloads for good; answers how many. Their status remains until its retention,
    /// counted from their death, is over.
    async fn purge_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error>;

    /// The dead letters that are kept no longer (Q-L32), oldest first: up to `limit` (at most [`MAX_BATCH`]) of those
    /// that died longer ago than [`Config::dead_max_age`](crate::Config::dead_max_age), or are more than
    /// [`Config::dead_max_count`](crate::Config::dead_max_count).
    async fn overdue_dead(&self, queue: &QueueName, limit: usize) -> Result<Vec<DeadCursor>, Error>;

    /// The workers of the queue by name, with what they hold (Q-L33). Round trips of bounded length, as many as it takes.
    async fn workers(&self, queue: &QueueName) -> Result<Vec<WorkerStatus>, Error>;

    /// Where every task is that was ever accepted (Q-L29).
    async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error>;

    /// Puts a part of the queue right (Q-L30): the first part without a cursor, and so on with the answer's until it has
    /// none. Many round trips, each atomic and bounded; two repairs at once do no harm.
    async fn repair(&self, queue: &QueueName, cursor: Option<RepairCursor>) -> Result<RepairPage, Error>;
}

/// A ready task, seen without being taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeekedTask {
    /// Its id; `None` for an element that a plain Redis client pushed and no worker has met yet.
    pub id: Option<TaskId>,
    /// Its kind, where it is known.
    pub kind: Option<String>,
    /// Its level.
    pub priority: Priority,
    /// When it was enqueued, where it is known.
    pub enqueued_at: Option<Timestamp>,
    /// JSON text.
    pub payload: Bytes,
}
