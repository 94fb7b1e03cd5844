//! The changes of state: opening, probing, ramping, and what an operator commands.
//!
//! Everything here is rare, so it may take the lock.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Shared,
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
    pub(super) half_open: HalfOpen,
}

/// What is known since the breaker became half-open.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
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

// === impl HalfOpen ===

impl HalfOpen {
    /// Takes a place for a call when fewer than `permits` are taken or used up. The deadline holds unless somebody is
    /// waited for already.
    pub(super) fn try_enter(&mut self, permits: u32, deadline_ms: u64) -> bool {
        let free = self.succeeded + self.calls < permits;
        if free {
            self.wait_until(deadline_ms);
            self.calls += 1;
        }
        free
    }

    /// Takes the prober's place when it is free.
    pub(super) fn try_probe(&mut self, deadline_ms: u64) -> bool {
        let free = !self.probing;
        if free {
            self.wait_until(deadline_ms);
            self.probing = true;
        }
        free
    }

    /// How long until the prober's place is free, in milliseconds.
    pub(super) fn probe_wait(&self, now_ms: u64) -> u64 {
        if self.probing { self.deadline_ms.saturating_sub(now_ms) } else { 0 }
    }

    fn is_waiting(&self) -> bool {
        self.calls > 0 || self.probing
    }

    fn wait_until(&mut self, deadline_ms: u64) {
        if !self.is_waiting() {
            self.deadline_ms = deadline_ms;
        }
    }
}

// === impl Shared ===

impl Shared {
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

    pub(super) fn settle_locked(&self, recovery: &mut Recovery, now: u64) -> Option<Transition> {
        let word = self.load();
        match word.phase() {
            Phase::Ramping if word.until_ms() <= now => {
                // When it ended, not when somebody noticed: a quiet hour since then is an hour of being closed.
                recovery.closed_at_ms = word.until_ms();
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

    pub(super) fn become_half_open(&self, recovery: &mut Recovery, now: u64) -> Transition {
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

    pub(super) fn ramp_ms(&self) -> u64 {
        nanos(self.config.ramp).div_ceil(1_000_000)
    }

    /// When a probe that begins `now` counts as failed.
    pub(super) fn probe_deadline_ms(&self, now: u64) -> u64 {
        now.saturating_add(nanos(self.config.probe_timeout).div_ceil(1_000_000).max(1))
    }
}
