//! The changes of state: opening, probing, ramping, and what an operator commands.
//!
//! Everything here runs when the breaker is not simply closed, so it may take the lock.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Shared,
    permit::{Permit, ProbePermit, Rejected, Role},
    state::{Phase, Transition, TransitionReason, Word},
    window::nanos,
};

/// The parts of a breaker's state that only its changes need.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Changes of state so far.
    pub(super) transitions: u64,
    /// Times it opened since it was last closed for a whole window: the attempt number of the open backoff.
    opened_in_a_row: u32,
    /// When it was last closed, in milliseconds of the breaker's time.
    closed_at_ms: u64,
    half_open: HalfOpen,
}

/// What is known since the breaker became half-open.
#[derive(Debug, Default)]
struct HalfOpen {
    /// Calls without a verdict.
    calls: u32,
    /// Whether the prober has no verdict yet.
    probing: bool,
    /// When the oldest of those counts as failed.
    deadline_ms: u64,
    succeeded: u32,
    /// Of those that succeeded.
    slow: u32,
}

/// The parts of the calls, in percent, that pass in each third of the ramp.
const RAMP_PERCENT: [u32; 3] = [5, 25, 50];

// === impl HalfOpen ===

impl HalfOpen {
    fn is_waiting(&self) -> bool {
        self.calls > 0 || self.probing
    }

    /// Starts the deadline unless somebody is waited for already.
    fn start_waiting(&mut self, deadline_ms: u64) {
        if !self.is_waiting() {
            self.deadline_ms = deadline_ms;
        }
    }
}

// === impl Shared ===

impl Shared {
    // --- asking -----------------------------------------------------------------------------------------------------

    #[cold]
    pub(super) fn acquire_when_not_closed(&self, word: Word) -> Result<Permit<'_>, Rejected> {
        let now = self.now_ms();
        let remaining = word.until_ms().saturating_sub(now);
        match word.phase() {
            Phase::Open if remaining > 0 => Err(self.reject(Duration::from_millis(remaining))),
            Phase::Ramping if remaining > 0 => self.acquire_in_ramp(word, remaining),
            Phase::ForcedOpen => Err(self.reject(self.config.open_backoff.max)),
            _ => self.acquire_under_lock(now),
        }
    }

    fn acquire_in_ramp(&self, word: Word, remaining: u64) -> Result<Permit<'_>, Rejected> {
        let third = self.ramp_ms().div_ceil(3).max(1);
        let stage = (self.ramp_ms().saturating_sub(remaining) / third).min(2);
        let percent = RAMP_PERCENT[stage as usize];
        // Every 20th, 4th or 2nd call, the first one included.
        let turn = self.ramp_calls.fetch_add(1, Ordering::Relaxed) % (100 / percent);
        if turn == 0 {
            return Ok(Permit::new(self, word.generation(), Role::Counted));
        }
        let until_next_stage = remaining.saturating_sub((2 - stage) * third);
        Err(self.reject(Duration::from_millis(until_next_stage)))
    }

    fn acquire_under_lock(&self, now: u64) -> Result<Permit<'_>, Rejected> {
        let mut recovery = self.lock();
        let mut transition = self.settle_locked(&mut recovery, now);
        let word = self.load();
        let answer = match word.phase() {
            Phase::Closed | Phase::ForcedClosed => Ok(Permit::new(self, word.generation(), Role::Counted)),
            Phase::Disabled => Ok(Permit::new(self, word.generation(), Role::Ignored)),
            Phase::Ramping => {
                let remaining = word.until_ms().saturating_sub(now);
                self.acquire_in_ramp(word, remaining)
            }
            Phase::Open if word.until_ms() <= now && self.config.half_open_permits > 0 => {
                transition = Some(self.become_half_open(&mut recovery, now));
                self.acquire_half_open(&mut recovery, now)
            }
            Phase::HalfOpen => self.acquire_half_open(&mut recovery, now),
            Phase::Open | Phase::ForcedOpen => {
                let remaining = Duration::from_millis(word.until_ms().saturating_sub(now));
                Err(self.reject(if remaining.is_zero() { self.config.open_backoff.initial } else { remaining }))
            }
        };
        drop(recovery);
        self.notify(transition);
        answer
    }

    fn acquire_half_open(&self, recovery: &mut Recovery, now: u64) -> Result<Permit<'_>, Rejected> {
        let half_open = &mut recovery.half_open;
        if half_open.succeeded + half_open.calls >= self.config.half_open_permits {
            return Err(self.reject(self.config.open_backoff.initial));
        }
        half_open.start_waiting(now.saturating_add(self.probe_timeout_ms()));
        half_open.calls += 1;
        Ok(Permit::new(self, self.load().generation(), Role::HalfOpen))
    }

    pub(super) fn probe(&self) -> Option<ProbePermit<'_>> {
        if self.load().is_closed() {
            return None;
        }
        let now = self.now_ms();
        let mut recovery = self.lock();
        let mut transition = self.settle_locked(&mut recovery, now);
        let word = self.load();
        if word.phase() == Phase::Open && word.until_ms() <= now {
            transition = Some(self.become_half_open(&mut recovery, now));
        }
        let granted = self.load().phase() == Phase::HalfOpen && !recovery.half_open.probing;
        if granted {
            recovery.half_open.start_waiting(now.saturating_add(self.probe_timeout_ms()));
            recovery.half_open.probing = true;
        }
        let generation = self.load().generation();
        drop(recovery);
        self.notify(transition);
        // Only a granted permit may exist: dropping one gives the place back.
        if granted { Some(ProbePermit::new(self, generation)) } else { None }
    }

    pub(super) fn probe_after(&self) -> Option<Duration> {
        let word = self.settle();
        let now = self.now_ms();
        match word.phase() {
            Phase::Open => Some(Duration::from_millis(word.until_ms().saturating_sub(now))),
            Phase::HalfOpen => {
                let half_open = &self.lock().half_open;
                let wait = if half_open.probing { half_open.deadline_ms.saturating_sub(now) } else { 0 };
                Some(Duration::from_millis(wait))
            }
            _ => None,
        }
    }

    fn reject(&self, retry_after: Duration) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejected::new(self.name, retry_after)
    }

    // --- verdicts ---------------------------------------------------------------------------------------------------

    /// Opens, when the breaker is still in the generation of the calls that say so.
    #[cold]
    pub(super) fn trip(&self, generation: u32, now: u64, reason: TransitionReason) {
        let mut recovery = self.lock();
        let word = self.load();
        let may_open = word.generation() == generation && matches!(word.phase(), Phase::Closed | Phase::Ramping);
        let transition = may_open.then(|| self.open(&mut recovery, now, reason));
        drop(recovery);
        self.notify(transition);
    }

    pub(super) fn half_open_success(&self, generation: u32, elapsed: Duration) {
        self.when_half_open(generation, |recovery, now| {
            let permits = self.config.half_open_permits;
            let half_open = &mut recovery.half_open;
            half_open.calls = half_open.calls.saturating_sub(1);
            half_open.succeeded += 1;
            half_open.slow += u32::from(elapsed > self.config.slow_call);
            if half_open.succeeded < permits {
                return None;
            }
            let slow = f64::from(half_open.slow) >= self.config.slow_call_rate * f64::from(permits);
            if slow && half_open.slow > 0 {
                return Some(self.open(recovery, now, TransitionReason::SlowCallRate));
            }
            Some(self.recover(recovery, now))
        });
    }

    pub(super) fn half_open_abandoned(&self, generation: u32) {
        self.when_half_open(generation, |recovery, _| {
            recovery.half_open.calls = recovery.half_open.calls.saturating_sub(1);
            None
        });
    }

    pub(super) fn probe_success(&self, generation: u32) {
        self.when_half_open(generation, |recovery, now| Some(self.recover(recovery, now)));
    }

    pub(super) fn probe_failure(&self, generation: u32) {
        self.when_half_open(generation, |recovery, now| Some(self.open(recovery, now, TransitionReason::ProbeFailed)));
    }

    pub(super) fn probe_abandoned(&self, generation: u32) {
        self.when_half_open(generation, |recovery, _| {
            recovery.half_open.probing = false;
            None
        });
    }

    fn when_half_open(&self, generation: u32, change: impl FnOnce(&mut Recovery, u64) -> Option<Transition>) {
        let now = self.now_ms();
        let mut recovery = self.lock();
        let word = self.load();
        let current = word.phase() == Phase::HalfOpen && word.generation() == generation;
        let transition = if current { change(&mut recovery, now) } else { None };
        drop(recovery);
        self.notify(transition);
    }

    // --- changes ----------------------------------------------------------------------------------------------------

    /// Makes the changes that only the time decides, and answers the state after them.
    pub(super) fn settle(&self) -> Word {
        let word = self.load();
        if !matches!(word.phase(), Phase::HalfOpen | Phase::Ramping) {
            return word;
        }
        let now = self.now_ms();
        let mut recovery = self.lock();
        let transition = self.settle_locked(&mut recovery, now);
        let word = self.load();
        drop(recovery);
        self.notify(transition);
        word
    }

    fn settle_locked(&self, recovery: &mut Recovery, now: u64) -> Option<Transition> {
        let word = self.load();
        match word.phase() {
            Phase::Ramping if word.until_ms() <= now => {
                recovery.closed_at_ms = now;
                // The same generation: calls that began in the ramp are counted when they end.
                let closed = Word::new(Phase::Closed, word.generation(), 0);
                Some(self.change(recovery, now, closed, TransitionReason::RampComplete))
            }
            Phase::HalfOpen if recovery.half_open.is_waiting() && recovery.half_open.deadline_ms <= now => {
                Some(self.open(recovery, now, TransitionReason::ProbeTimedOut))
            }
            _ => None,
        }
    }

    fn open(&self, recovery: &mut Recovery, now: u64, reason: TransitionReason) -> Transition {
        let word = self.load();
        let window_ms = nanos(self.config.window) / 1_000_000;
        if word.is_closed() && now.saturating_sub(recovery.closed_at_ms) >= window_ms {
            recovery.opened_in_a_row = 0;
        }
        let delay = self.config.open_backoff.delay(recovery.opened_in_a_row, rand::random());
        recovery.opened_in_a_row = recovery.opened_in_a_row.saturating_add(1);
        let until = now.saturating_add(nanos(delay).div_ceil(1_000_000).max(1));
        self.change(recovery, now, Word::new(Phase::Open, word.next_generation(), until), reason)
    }

    fn become_half_open(&self, recovery: &mut Recovery, now: u64) -> Transition {
        recovery.half_open = HalfOpen::default();
        let word = Word::new(Phase::HalfOpen, self.load().next_generation(), 0);
        self.change(recovery, now, word, TransitionReason::ProbeDue)
    }

    fn recover(&self, recovery: &mut Recovery, now: u64) -> Transition {
        self.forget_calls();
        let generation = self.load().next_generation();
        let word = if self.config.ramp.is_zero() {
            recovery.closed_at_ms = now;
            Word::new(Phase::Closed, generation, 0)
        } else {
            Word::new(Phase::Ramping, generation, now.saturating_add(self.ramp_ms()))
        };
        self.change(recovery, now, word, TransitionReason::Recovered)
    }

    /// An operator's wish.
    pub(super) fn command(&self, phase: Phase) {
        let now = self.now_ms();
        let mut recovery = self.lock();
        self.forget_calls();
        recovery.opened_in_a_row = 0;
        recovery.closed_at_ms = now;
        let word = Word::new(phase, self.load().next_generation(), 0);
        let transition = self.change(&mut recovery, now, word, TransitionReason::Operator);
        drop(recovery);
        self.notify(Some(transition));
    }

    fn change(&self, recovery: &mut Recovery, now: u64, to: Word, reason: TransitionReason) -> Transition {
        let from = self.load();
        self.word.store(to.bits(), Ordering::Release);
        recovery.transitions += 1;
        Transition {
            breaker: self.name,
            sequence: recovery.transitions,
            from: from.state(now),
            to: to.state(now),
            reason,
        }
    }

    fn forget_calls(&self) {
        self.window.clear();
        self.consecutive_failures.store(0, Ordering::Relaxed);
        self.ramp_calls.store(0, Ordering::Relaxed);
    }

    fn ramp_ms(&self) -> u64 {
        nanos(self.config.ramp).div_ceil(1_000_000)
    }

    fn probe_timeout_ms(&self) -> u64 {
        nanos(self.config.probe_timeout).div_ceil(1_000_000).max(1)
    }
}
