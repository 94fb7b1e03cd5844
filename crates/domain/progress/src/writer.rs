//! One operation's writer in this process: what waits, what is on its way, and what the state is.
//!
//! Changes are queued first and applied when they are written, so that a change made while the store is away, or by a
//! writer that has lost the operation to another process, is applied to the state that the store really has. Whoever holds
//! the lock writes for all who wait: many small updates become one round trip.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use opentelemetry::KeyValue;
use tokio::{
    sync::{Mutex as AsyncMutex, oneshot},
    time::Instant,
};

use crate::{
    Appended, Config, Error, ProgressId, ProgressStore, Receipt, Snapshot,
    change::Change,
    claim::{Claim, Draft, Sent},
    metrics::METRICS,
};

/// How often an operation is taken over again in one attempt to write, before the rest is left for later.
const TAKEOVERS: usize = 8;

#[derive(Debug)]
pub(crate) struct Writer {
    id: ProgressId,
    waiting: Mutex<VecDeque<Waiting>>,
    state: AsyncMutex<State>,
}

/// A change, and who wants to know what became of it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) change: Change,
    reply: Option<oneshot::Sender<Result<Receipt, Error>>>,
}

/// Whether a store that failed a moment ago is tried all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Leave it alone for a while: the caller wants an answer now.
    Respect,
    /// Try it.
    Ignore,
}

#[derive(Debug, Default)]
struct State {
    claim: Option<Claim>,
    sent: Option<Sent>,
    /// After a failure the store is left alone until then.
    away_until: Option<Instant>,
}

// === impl Writer ===

impl Writer {
    pub(crate) fn new(id: ProgressId) -> Self {
        Self { id, waiting: Mutex::default(), state: AsyncMutex::default() }
    }

    /// Queues a change; its outcome arrives at the receiver when it is written.
    pub(crate) fn push(&self, change: Change, config: &Config) -> oneshot::Receiver<Result<Receipt, Error>> {
        let (reply, outcome) = oneshot::channel();
        let mut waiting = self.waiting();
        if let Some(last) = waiting.back()
            && last.change.is_replaced_by(&change)
            && let Some(replaced) = waiting.pop_back()
        {
            replaced.answer(Ok(Receipt::Coalesced));
        }
        if waiting.len() >= config.buffered_updates.get()
            && let Some(oldest) = waiting.iter().position(|waiting| waiting.change.may_be_dropped())
            && let Some(dropped) = waiting.remove(oldest)
        {
            METRICS.updates.add(1, &[KeyValue::new("outcome", "dropped")]);
            dropped.answer(Ok(Receipt::Dropped));
        }
        waiting.push_back(Waiting { change, reply: Some(reply) });
        outcome
    }

    /// Writes everything that waits. False when something still does, because the store is away.
    ///
    /// Cancel-safe: what was sent is sent again by the next call.
    pub(crate) async fn flush(&self, store: &dyn ProgressStore, config: &Config, patience: Patience) -> bool {
        let mut state = self.state.lock().await;
        if patience == Patience::Respect && state.away_until.is_some_and(|until| Instant::now() < until) {
            return self.is_settled(&state);
        }
        match self.write_all(&mut state, store, config).await {
            Ok(()) => state.away_until = None,
            Err(error) if !error.is_of_the_store() => {
                // What the store holds cannot be understood: whoever asked first hears of it.
                if let Some(first) = self.waiting().pop_front() {
                    first.answer(Err(error));
                }
                state.claim = None;
            }
            Err(error) => {
                tracing::debug!(progress.id = %self.id, error = &error as &dyn std::error::Error, "progress is buffered");
                state.away_until = Some(Instant::now() + config.retry);
            }
        }
        self.is_settled(&state)
    }

    /// The state with everything that was applied, written or not, for when the store cannot tell it.
    pub(crate) async fn local_snapshot(&self) -> Option<Snapshot> {
        let state = self.state.lock().await;
        match &state.sent {
            Some(sent) => sent.after.snapshot.clone(),
            None => state.claim.as_ref()?.snapshot.clone(),
        }
    }

    /// True when a percentage is held back.
    pub(crate) fn is_holding_back(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.claim.as_ref().is_some_and(Claim::is_holding_back))
    }

    /// True when forgetting this writer loses nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.state
            .try_lock()
            .is_ok_and(|state| self.is_settled(&state) && !state.claim.as_ref().is_some_and(Claim::is_holding_back))
    }

    /// True when nothing can follow and nothing waits.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| {
            let is_final = |claim: &Claim| claim.snapshot.as_ref().is_none_or(|snapshot| snapshot.status.is_final());
            self.is_settled(&state) && state.claim.as_ref().is_none_or(is_final)
        })
    }

    /// Sends, applies what waits, and so on until nothing waits.
    async fn write_all(&self, state: &mut State, store: &dyn ProgressStore, config: &Config) -> Result<(), Error> {
        let mut takeovers = 0;
        while takeovers < TAKEOVERS {
            if !self.send(state, store).await? {
                takeovers += 1;
                self.take_over(state, store).await?;
            }
            if self.waiting().is_empty() {
                return Ok(());
            }
            if state.claim.as_ref().is_none_or(|claim| claim.is_stale(config)) {
                state.claim = None;
                self.take_over(state, store).await?;
            }
            self.draft(state, config)?;
        }
        Ok(())
    }

    /// Sends what was drafted and learns what became of it. False when another writer has the operation.
    async fn send(&self, state: &mut State, store: &dyn ProgressStore) -> Result<bool, Error> {
        let Some(sent) = &state.sent else { return Ok(true) };
        let answer = store.append(&self.id, &sent.append).await?;
        let Some(sent) = state.sent.take() else { return Ok(true) };
        let stored = match answer {
            Appended::Stored => sent.changes.len(),
            Appended::Fenced { stored } => stored,
        };
        let mut changes = sent.changes;
        let fenced = changes.split_off(stored.min(changes.len()));
        for change in changes.into_iter().flatten() {
            METRICS.updates.add(1, &[KeyValue::new("outcome", "written")]);
            change.answer(Ok(Receipt::Written));
        }
        if answer == Appended::Stored {
            if let Some(claim) = &mut state.claim {
                claim.commit(&sent.append, sent.after);
            }
            return Ok(true);
        }
        METRICS.takeovers.add(1, &[]);
        let mut waiting = self.waiting();
        for change in fenced.into_iter().rev().flatten() {
            waiting.push_front(change);
        }
        Ok(false)
    }

    /// Applies what waits to the state and makes frames of it.
    fn draft(&self, state: &mut State, config: &Config) -> Result<(), Error> {
        let Some(claim) = &mut state.claim else { return Ok(()) };
        let mut draft = Draft::new(&self.id, claim, config)?;
        let mut new_epoch = false;
        while draft.has_room() {
            let Some(next) = self.waiting().pop_front() else { break };
            if draft.needs_new_epoch(&next.change) {
                self.waiting().push_front(next);
                new_epoch = true;
                break;
            }
            draft.add(next);
        }
        state.sent = draft.finish(claim);
        if state.sent.is_none() && (new_epoch || claim.last.is_none()) {
            // It has ended, or nobody has started it: the next change looks again.
            state.claim = None;
        }
        Ok(())
    }

    /// Reads the state and begins a new epoch.
    async fn take_over(&self, state: &mut State, store: &dyn ProgressStore) -> Result<(), Error> {
        let head = store.head(&self.id).await?;
        let held = match state.claim.take() {
            Some(mut lost) => {
                let held = std::mem::take(&mut lost.held);
                state.claim = Some(Claim::new(&head, Some(lost))?);
                held
            }
            None => {
                state.claim = Some(Claim::new(&head, None)?);
                Vec::new()
            }
        };
        let mut waiting = self.waiting();
        for change in held.into_iter().rev() {
            waiting.push_front(Waiting { change, reply: None });
        }
        Ok(())
    }

    fn is_settled(&self, state: &State) -> bool {
        state.sent.is_none() && self.waiting().is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    /// Tells whoever asked. A failure that nobody waits for any more is logged here, since nobody else can.
    pub(crate) fn answer(self, outcome: Result<Receipt, Error>) {
        let unheard = match self.reply {
            Some(reply) => reply.send(outcome).err(),
            None => Some(outcome),
        };
        if let Some(Err(error)) = unheard {
            tracing::warn!(error = &error as &dyn std::error::Error, "a buffered progress update was refused");
        }
    }
}
