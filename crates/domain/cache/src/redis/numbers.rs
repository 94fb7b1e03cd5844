//! Whether any message is missing: the numbers of every source must come without holes.
//!
//! Messages of one process may overtake each other, because it has several connections. So a hole is given some time to be
//! filled before it counts.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

/// How long an overtaken message may be late.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many messages may overtake one.
const MAX_AHEAD: usize = 1_024;
/// A source that is silent for so long is forgotten; what it says after that is a new beginning.
const FORGET: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(super) struct Numbers {
    sources: HashMap<u64, Heard>,
}

#[derive(Debug)]
struct Heard {
    /// The lowest number that has not come.
    next: u64,
    /// Numbers above it that have.
    ahead: BTreeSet<u64>,
    hole_since: Option<Instant>,
    last: Instant,
}

// === impl Numbers ===

impl Numbers {
    /// Notes a number; true when another one is known to be missing.
    pub(super) fn hear(&mut self, source: u64, number: u64, now: Instant) -> bool {
        let heard = self.sources.entry(source).or_insert_with(|| Heard {
            next: number,
            ahead: BTreeSet::new(),
            hole_since: None,
            last: now,
        });
        heard.last = now;
        if number >= heard.next {
            heard.ahead.insert(number);
        }
        while heard.ahead.remove(&heard.next) {
            heard.next = heard.next.saturating_add(1);
        }
        if heard.ahead.is_empty() {
            heard.hole_since = None;
            return false;
        }
        heard.hole_since.get_or_insert(now);
        heard.ahead.len() > MAX_AHEAD && heard.give_up()
    }

    /// True when a hole has been there for too long; it is not reported again.
    pub(super) fn is_any_missing(&mut self, now: Instant) -> bool {
        self.sources.retain(|_, heard| now.duration_since(heard.last) < FORGET);
        let is_late = |since: Instant| now.duration_since(since) >= PATIENCE;
        let mut missing = false;
        for heard in self.sources.values_mut().filter(|heard| heard.hole_since.is_some_and(is_late)) {
            missing |= heard.give_up();
        }
        missing
    }

    /// Everything is read anew: what was missing does not matter.
    pub(super) fn forget(&mut self) {
        self.sources.clear();
    }
}

// === impl Heard ===

impl Heard {
    fn give_up(&mut self) -> bool {
        self.next = self.ahead.last().map_or(self.next, |last| last.saturating_add(1));
        self.ahead.clear();
        self.hole_since = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_overtake_each_other_are_not_missed_and_one_that_never_comes_is_missed_once() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        for number in [5, 7, 8, 6, 9] {
            assert!(!numbers.hear(1, number, now));
        }
        assert!(!numbers.is_any_missing(now + PATIENCE));
        assert!(!numbers.hear(1, 11, now));
        assert!(!numbers.is_any_missing(now + PATIENCE / 2));
        assert!(numbers.is_any_missing(now + PATIENCE));
        assert!(!numbers.is_any_missing(now + PATIENCE * 2));
        assert!(!numbers.hear(1, 12, now), "it goes on behind the hole");
    }

    #[test]
    fn the_last_number_that_there_is_ends_nothing() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        for number in [u64::MAX - 2, u64::MAX, u64::MAX, u64::MAX - 1, u64::MAX] {
            numbers.hear(1, number, now);
        }
        assert!(!numbers.is_any_missing(now + PATIENCE));
    }

    #[test]
    fn a_hole_that_too_many_pass_by_is_a_gap_at_once() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        numbers.hear(1, 1, now);
        let gaps = (3..3 + 2 * 1_024).filter(|number| numbers.hear(1, *number, now)).count();
        assert_eq!(gaps, 1);
    }
}
