//! Two counters: of the window that runs, and of the one before.

use super::{Room, Wait};
use crate::Quota;

/// How much was taken in the last two windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The number of the window that `count` is about.
    pub(crate) number: u64,
    pub(crate) count: u64,
    pub(crate) before: u64,
}

// === impl Pair ===

impl Pair {
    /// The counters as they are seen at a moment.
    pub(crate) fn at(self, quota: &Quota, now: u64) -> Self {
        let number = now / quota.window_ms();
        match number.checked_sub(self.number) {
            None | Some(0) => self,
            Some(1) => Self { number, count: 0, before: self.count },
            Some(_) => Self { number, count: 0, before: 0 },
        }
    }

    /// Milliseconds of the window that are over.
    fn over(self, quota: &Quota, now: u64) -> u64 {
        now.saturating_sub(self.number * quota.window_ms()).min(quota.window_ms())
    }

    pub(crate) fn wait(self, quota: &Quota, now: u64, cost: u64) -> Wait {
        let Some(others) = quota.limit.checked_sub(cost) else { return Wait::Forever };
        let window = quota.window_ms();
        let seen = self.at(quota, now);
        let start = seen.number * window;
        // In this window, then in the next, in which this one is the one before.
        for (start, count, before, over) in
            [(start, seen.count, seen.before, seen.over(quota, now)), (start + window, 0, seen.count, 0)]
        {
            let Some(room) = others.checked_sub(count) else { continue };
            let left = if before > room { window - room * window / before } else { 0 };
            if left <= over {
                return if start <= now { Wait::No } else { Wait::Millis((start - now).max(1)) };
            }
            return Wait::Millis((start + left).saturating_sub(now).max(1));
        }
        Wait::Millis((start + 2 * window).saturating_sub(now).max(1))
    }

    pub(crate) fn add(&mut self, quota: &Quota, now: u64, units: u64) {
        *self = self.at(quota, now);
        self.count += units;
    }

    pub(crate) fn room(self, quota: &Quota, now: u64) -> Room {
        let window = quota.window_ms();
        let seen = self.at(quota, now);
        let taken = seen.count + (seen.before * (window - seen.over(quota, now))).div_ceil(window);
        let windows = if seen.count > 0 { 2 } else { u64::from(seen.before > 0) };
        let reset = (windows > 0).then(|| ((seen.number + windows) * window).saturating_sub(now));
        Room { remaining: quota.limit.saturating_sub(taken), reset: reset.unwrap_or(0) }
    }
}
