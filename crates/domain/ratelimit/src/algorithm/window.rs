//! A sliding window of eight parts.

use super::{Room, Wait};
use crate::Quota;

/// Parts of a window.
const PARTS: u64 = 8;

/// How much was taken in each part of the last window, and in the one before, of which a piece is still in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets {
    /// The number of the part that the first count is about.
    newest: u64,
    /// Newest first.
    counts: [u64; 9],
}

/// A moment: the part it is in, and how much of that part is over, in units of an eighth of a millisecond.
#[derive(Debug, Clone, Copy)]
struct Moment {
    part: u64,
    over: u64,
}

// === impl Buckets ===

impl Buckets {
    /// The counts as they are seen at a moment. A clock that was set back stands at the beginning of the newest part.
    fn at(&self, quota: &Quota, now: u64) -> (Moment, [u64; 9]) {
        let window = quota.window_ms();
        let moment = Moment { part: now * PARTS / window, over: now * PARTS % window };
        if moment.part < self.newest {
            return (Moment { part: self.newest, over: 0 }, self.counts);
        }
        let mut counts = [0; 9];
        let shift = usize::try_from(moment.part - self.newest).unwrap_or(usize::MAX);
        for (to, from) in counts.iter_mut().skip(shift).zip(self.counts) {
            *to = from;
        }
        (moment, counts)
    }

    pub(crate) fn wait(&self, quota: &Quota, now: u64, cost: u64) -> Wait {
        let Some(others) = quota.limit.checked_sub(cost) else { return Wait::Forever };
        let window = quota.window_ms();
        let (moment, counts) = self.at(quota, now);
        // After `later` more parts, the last of the counts that are in the window whole is this many nearer to the first.
        for later in 0..=PARTS {
            let oldest = usize::try_from(PARTS - later).unwrap_or(0);
            let Some(room) = others.checked_sub(counts[..oldest].iter().sum()) else { continue };
            let over = if later == 0 { moment.over } else { 0 };
            // Of the oldest, what is beyond the room must have left the window.
            let left = if counts[oldest] > room { window - room * window / counts[oldest] } else { 0 };
            let at = ((moment.part + later) * window + left.max(over)).div_ceil(PARTS);
            let is_now = later == 0 && left <= over;
            return if is_now { Wait::No } else { Wait::Millis(at.saturating_sub(now).max(1)) };
        }
        Wait::Millis((((moment.part + PARTS + 1) * window).div_ceil(PARTS)).saturating_sub(now).max(1))
    }

    /// Takes units, and tells in which part.
    pub(crate) fn add(&mut self, quota: &Quota, now: u64, units: u64) -> u64 {
        let (moment, counts) = self.at(quota, now);
        (self.newest, self.counts) = (moment.part, counts);
        self.counts[0] += units;
        moment.part
    }

    pub(crate) fn give_back(&mut self, part: u64, units: u64) {
        let age = self.newest.checked_sub(part).and_then(|age| usize::try_from(age).ok());
        if let Some(count) = age.and_then(|age| self.counts.get_mut(age)) {
            *count = count.saturating_sub(units);
        }
    }

    pub(crate) fn room(&self, quota: &Quota, now: u64) -> Room {
        let window = quota.window_ms();
        let (moment, counts) = self.at(quota, now);
        let whole: u64 = counts[..8].iter().sum();
        let taken = whole + (counts[8] * (window - moment.over)).div_ceil(window);
        let reset = counts
            .iter()
            .zip(0..)
            .find(|(count, _)| **count > 0)
            .map_or(0, |(_, age)| ((moment.part + PARTS + 1 - age) * window).div_ceil(PARTS).saturating_sub(now));
        Room { remaining: quota.limit.saturating_sub(taken), reset }
    }
}
