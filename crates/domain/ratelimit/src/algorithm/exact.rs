//! A log of every unit, oldest first.

use std::collections::VecDeque;

use super::{Room, Wait};
use crate::Quota;

/// When each unit of the last window was taken, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    times: VecDeque<u64>,
}

// === impl Log ===

impl Log {
    /// A clock that was set back stands still until it is where it was.
    fn now(&self, now: u64) -> u64 {
        self.times.back().map_or(now, |last| now.max(*last))
    }

    pub(crate) fn wait(&self, quota: &Quota, now: u64, cost: u64) -> Wait {
        let Some(others) = quota.limit.checked_sub(cost) else { return Wait::Forever };
        // All but so many of the newest must be over.
        let Some(index) = (self.times.len() as u64).checked_sub(others + 1) else { return Wait::No };
        let over_at =
            usize::try_from(index).ok().and_then(|index| self.times.get(index)).map(|at| at + quota.window_ms());
        match over_at {
            Some(over_at) if over_at > self.now(now) => Wait::Millis(over_at - now),
            _ => Wait::No,
        }
    }

    /// Takes units, and tells when.
    pub(crate) fn add(&mut self, quota: &Quota, now: u64, units: u64) -> u64 {
        let now = self.now(now);
        let over = self.times.iter().take_while(|at| *at + quota.window_ms() <= now).count();
        self.times.drain(..over);
        for _ in 0..units {
            self.times.push_back(now);
        }
        now
    }

    pub(crate) fn give_back(&mut self, taken_at: u64, units: u64) {
        let mut left = units;
        self.times.retain(|at| {
            let goes = *at == taken_at && left > 0;
            left -= u64::from(goes);
            !goes
        });
    }

    pub(crate) fn room(&self, quota: &Quota, now: u64) -> Room {
        let last = self.now(now);
        let living = self.times.iter().rev().take_while(|at| *at + quota.window_ms() > last).count() as u64;
        let reset = self.times.back().map_or(0, |at| (at + quota.window_ms()).saturating_sub(now));
        Room { remaining: quota.limit.saturating_sub(living), reset }
    }
}
