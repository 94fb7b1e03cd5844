//! The loop of a processor: what it waits for, and when the next step is due.

mod answers;
mod tasks;
mod wait;

use std::{sync::Arc, time::Duration};

use futures::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::wait::Waiting;
use super::{
    ProcessorState, StopReason, TaskProcessor,
    attempt::Ended,
    ledger::Ledger,
    pace::{ClaimPace, Outage, STEP_TASKS, flush_at, full_step, largest_step},
    settle::{Outbox, Unsettled},
};
use crate::{Error, Renewal, Step, StepReply};

/// A processor at work.
pub(super) struct Worker {
    processor: TaskProcessor,
    mode: Mode,
    ledger: Ledger,
    attempts: JoinSet<Ended>,
    outbox: Outbox,
    steps: FuturesUnordered<BoxFuture<'static, (Sent, Result<StepReply, Error>)>>,
    /// Places that the steps on their way may fill.
    credits_sent: usize,
    /// The step that waits for work, while there is none.
    waiting: Option<Waiting>,
    claims: ClaimPace,
    outage: Outage,
    /// The failure of the wait for work, which has its own backoff: claims may work without it.
    wait_outage: Outage,
}

/// How far the shutdown has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Claiming,
    /// Claims nothing, and lets handlers finish until then.
    Draining {
        until: Instant,
    },
    /// Every handler was told to stop; what they leave is settled together.
    Stopping,
}

/// What was sent in a step on its way, to be matched with the answer.
struct Sent {
    at: Instant,
    settled: Vec<Unsettled>,
    renewals: Vec<Renewal>,
    credits: usize,
    /// Stop orders given before it was sent.
    orders: u64,
}

/// What the loop waits for.
enum Event {
    Answered(Sent, Result<StepReply, Error>),
    Ended(Result<Ended, JoinError>),
    /// The step that waited was made, unless it only waited.
    Waited(Result<Option<StepReply>, Error>),
    ShutDown,
    Timer,
}

/// Steps that may be on their way at once: while the store works on one, the next is made ready.
const MAX_STEPS: usize = 3;
/// How long the loop sleeps when nothing at all is due.
const IDLE: Duration = Duration::from_secs(60);

// === impl Worker ===

impl Worker {
    pub(super) fn new(processor: TaskProcessor) -> Self {
        let lease = processor.queues.config().lease;
        Self {
            mode: Mode::Claiming,
            ledger: Ledger::default(),
            attempts: JoinSet::new(),
            outbox: Outbox::default(),
            steps: FuturesUnordered::new(),
            credits_sent: 0,
            waiting: None,
            claims: ClaimPace::new(Instant::now()),
            outage: Outage::new(lease),
            wait_outage: Outage::new(lease),
            processor,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let meeting = shutdown.run_until_cancelled(self.meet()).await;
        if meeting.is_some() {
            self.processor.shared.set_state(ProcessorState::Running);
            self.work(&shutdown).await;
            self.leave().await;
        }
        self.processor.shared.set_state(ProcessorState::Stopped);
        tracing::info!(queue.name = %self.processor.queue, "processor stopped");
    }

    /// Meets the queue, for as long as it takes.
    async fn meet(&mut self) {
        tracing::info!(
            queue.name = %self.processor.queue, worker.id = %self.processor.config.worker_id,
            worker.concurrency = self.processor.config.concurrency, "processor starts"
        );
        while let Err(error) = self.processor.queues.meet(&self.processor.queue).await {
            self.failed(&error);
            tokio::time::sleep_until(self.outage.retry_at.unwrap_or_else(Instant::now)).await;
        }
        self.succeeded();
    }

    async fn work(&mut self, shutdown: &CancellationToken) {
        loop {
            let now = Instant::now();
            self.ledger.expire(now);
            self.advance_shutdown(shutdown, now);
            if self.steps.is_empty() && self.waiting.is_none() && self.is_done(now) {
                break;
            }
            while self.may_send() && self.step_due().is_some_and(|due| due <= now) {
                self.send_step(now);
            }
            if !self.wants_work(now) {
                self.hurry();
            } else if self.waiting.is_none() && self.steps.is_empty() {
                self.wait_for_work(now);
            }
            let timer = self.next_timer(now).unwrap_or(now + IDLE);
            let event = tokio::select! {
                biased;
                Some((sent, reply)) = self.steps.next() => Event::Answered(sent, reply),
                Some(ended) = self.attempts.join_next() => Event::Ended(ended),
                reply = wait::answer(&mut self.waiting) => Event::Waited(reply),
                () = shutdown.cancelled(), if self.mode == Mode::Claiming => Event::ShutDown,
                () = tokio::time::sleep_until(timer) => Event::Timer,
            };
            match event {
                Event::Answered(sent, reply) => self.answered(sent, reply),
                Event::Ended(ended) => {
                    self.ended(ended);
                    while let Some(ended) = self.attempts.try_join_next() {
                        self.ended(ended);
                    }
                }
                Event::Waited(reply) => self.waited(reply),
                Event::ShutDown | Event::Timer => {}
            }
        }
    }

    /// Says that it has no places any more, so that it is not listed for longer than it is there.
    async fn leave(&mut self) {
        if self.outage.since.is_some() || self.wait_outage.since.is_some() {
            return;
        }
        let worker = self.processor.config.worker_id.clone();
        let step = Step { slots: Some(0), ..Step::new(worker, self.processor.queues.config().lease) };
        if let Err(error) = self.processor.queues.store().step(&self.processor.queue, step).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(queue.name = %self.processor.queue, error, "a processor left without saying so");
        }
    }

    fn advance_shutdown(&mut self, shutdown: &CancellationToken, now: Instant) {
        if self.mode == Mode::Claiming && shutdown.is_cancelled() {
            self.mode = Mode::Draining { until: now + self.processor.config.drain };
            self.processor.shared.set_state(ProcessorState::Draining);
            tracing::info!(queue.name = %self.processor.queue, task.count = self.ledger.len(), "processor drains");
        }
        if let Mode::Draining { until } = self.mode
            && (until <= now || self.ledger.is_empty())
        {
            self.mode = Mode::Stopping;
            self.ledger.stop_all(StopReason::ShuttingDown);
        }
    }

    /// True when nothing is left to do, or to hope for.
    fn is_done(&self, now: Instant) -> bool {
        if self.mode != Mode::Stopping || !self.ledger.is_empty() {
            return false;
        }
        let Some(lease_ends) = self.outbox.lease_ends() else { return true };
        let is_hopeless = self.outage.since.is_some() && lease_ends <= now;
        if is_hopeless {
            tracing::error!(
                queue.name = %self.processor.queue, task.count = self.outbox.len(),
                "the store stayed away; what became of these tasks is not recorded, and they will run again"
            );
        }
        is_hopeless
    }

    /// Free places that no step on its way may fill, also counting those whose task is settled but not acknowledged yet.
    fn free(&self) -> usize {
        self.processor.config.concurrency.get().saturating_sub(self.ledger.len() + self.credits_sent)
    }

    /// Free places besides those that the waiting settlements leave.
    fn idle(&self) -> usize {
        self.free().saturating_sub(self.outbox.len())
    }

    /// Places that the step which waits for work may fill.
    fn reserved(&self) -> usize {
        self.waiting.as_ref().map_or(0, Waiting::credits)
    }

    /// Whether a step may go out now: the only one, or a full one beside others.
    fn may_send(&self) -> bool {
        self.steps.is_empty()
            || (self.steps.len() < MAX_STEPS
                && self.mode == Mode::Claiming
                && self.outage.since.is_none()
                && self.outbox.len() >= full_step(self.processor.config.concurrency.get()))
    }

    /// When the next step is due.
    fn step_due(&self) -> Option<Instant> {
        if self.outage.retry_at.is_some() {
            return self.outage.retry_at;
        }
        let flush = self.outbox.since().and_then(|since| match self.mode {
            Mode::Claiming => {
                let concurrency = self.processor.config.concurrency.get();
                Some(flush_at(since, self.outbox.len(), self.idle(), concurrency))
            }
            Mode::Draining { .. } => Some(since),
            Mode::Stopping => self.ledger.is_empty().then_some(since),
        });
        let can_claim = self.mode == Mode::Claiming && self.idle() > self.reserved();
        let claim = self.claims.due().filter(|_| can_claim);
        [flush, claim, self.ledger.next_renewal()].into_iter().flatten().min()
    }

    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let step = if self.may_send() { self.step_due() } else { None };
        let phase = match self.mode {
            Mode::Draining { until } => Some(until),
            Mode::Stopping => self.outbox.lease_ends().filter(|_| self.outage.since.is_some()),
            // The wait for work begins when claims are open again.
            Mode::Claiming => self.claims.opens_after(now).or_else(|| self.wait_outage.retry_at.filter(|at| *at > now)),
        };
        [step, phase, self.ledger.next_expiry()].into_iter().flatten().min()
    }

    /// Sends everything that is due, and what may as well come along.
    fn send_step(&mut self, now: Instant) {
        let config = self.processor.queues.config();
        let concurrency = self.processor.config.concurrency.get();
        let (settled, settle) = self.outbox.take(largest_step(concurrency), now);
        // What is left goes with the next step, which fills the places that it leaves.
        let most = if self.outbox.len() > 0 { settle.len() } else { STEP_TASKS };
        // Those of a step on its way are being renewed.
        let renewals = if self.steps.is_empty() { self.ledger.renewals(now, config.renew_every) } else { Vec::new() };
        // After a failure the first step claims nothing: if its answer is lost too, no task is leased to nobody.
        let may_claim = self.mode == Mode::Claiming && self.outage.since.is_none() && self.claims.is_open(now);
        let credits = if may_claim { self.free().saturating_sub(self.reserved()).min(most) } else { 0 };
        if credits > 0 {
            self.claims.sent(now);
        }
        let worker = self.processor.config.worker_id.clone();
        let slots = Some(if self.mode == Mode::Claiming { concurrency } else { 0 });
        let step = Step { settle, renew: renewals.clone(), credits, slots, ..Step::new(worker, config.lease) };
        let sent = Sent { at: now, settled, renewals, credits, orders: self.processor.shared.orders() };
        let (store, queue) = (Arc::clone(self.processor.queues.store()), self.processor.queue.clone());
        self.credits_sent += credits;
        self.steps.push(Box::pin(async move { (sent, store.step(&queue, step).await) }));
    }
}
