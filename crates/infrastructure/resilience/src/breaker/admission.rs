//! Who may pass when the breaker is not simply closed.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Shared,
    permit::{Permit, ProbePermit, Rejected, Role},
    recovery::Recovery,
    state::{Phase, Word},
};

/// The parts of the calls, in percent, that pass in each third of the ramp.
const RAMP_PERCENT: [u32; 3] = [5, 25, 50];

// === impl Shared ===

impl Shared {
    #[cold]
    pub(super) fn acquire_when_not_closed(&self, word: Word) -> Result<Permit<'_>, Rejected> {
        let now = self.now_ms();
        let remaining = word.until_ms().saturating_sub(now);
        match word.phase() {
            Phase::Open if remaining > 0 => Err(self.reject(Duration::from_millis(remaining))),
            Phase::Ramping if remaining > 0 => self.acquire_in_ramp(word, remaining),
            Phase::ForcedOpen => Err(self.reject(self.config.open_backoff.max)),
            Phase::ForcedClosed => Ok(Permit::new(self, word.generation(), Role::Counted)),
            Phase::Disabled => Ok(Permit::new(self, word.generation(), Role::Ignored)),
            // What is left may change the state.
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
        if recovery.half_open.try_enter(self.config.half_open_permits, self.probe_deadline_ms(now)) {
            Ok(Permit::new(self, self.load().generation(), Role::HalfOpen))
        } else {
            Err(self.reject(self.config.open_backoff.initial))
        }
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
        let word = self.load();
        let granted = word.phase() == Phase::HalfOpen && recovery.half_open.try_probe(self.probe_deadline_ms(now));
        drop(recovery);
        self.notify(transition);
        // Only a granted permit may exist: dropping one gives the place back.
        if granted { Some(ProbePermit::new(self, word.generation())) } else { None }
    }

    pub(super) fn probe_after(&self) -> Option<Duration> {
        let word = self.settle();
        let now = self.now_ms();
        let wait = match word.phase() {
            Phase::Open => word.until_ms().saturating_sub(now),
            Phase::HalfOpen => self.lock().half_open.probe_wait(now),
            _ => return None,
        };
        Some(Duration::from_millis(wait))
    }

    fn reject(&self, retry_after: Duration) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejected::new(self.name, retry_after)
    }
}
