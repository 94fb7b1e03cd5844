//! What a queue hands out, and what it takes in: limits that all processes share.

use std::{num::NonZeroU32, time::Duration};

use crate::Error;

/// The limits of one queue. They are kept in the store and act on every process at once; the default limits nothing.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use trackside_queue::{QueuePolicy, Rate};
/// let policy = QueuePolicy {
///     max_active: NonZeroU32::new(8),
///     rate: NonZeroU32::new(600).map(|count| Rate::new(count, Duration::from_secs(60))),
///     ..QueuePolicy::default()
/// };
/// assert!(policy.check().is_ok());
/// assert!(!policy.is_shared_out(), "tasks are handed out in the order of the queue");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuePolicy {
    /// Unfinished tasks, dead letters not counted, above which new ones are refused.
    pub max_depth: Option<u64>,
    /// Bytes of unfinished tasks above which new ones are refused.
    pub max_bytes: Option<u64>,
    /// Tasks under lease at once, in all processes together.
    pub max_active: Option<NonZeroU32>,
    /// How often tasks are handed out.
    pub rate: Option<Rate>,
    /// Tasks of one tenant under lease at once. Tasks without a tenant are not limited by it.
    pub tenant_max_active: Option<NonZeroU32>,
    /// How often tasks of one tenant are handed out. Tasks without a tenant are not limited by it.
    pub tenant_rate: Option<Rate>,
    /// Tenants take turns inside each level, with this many tasks in a turn; tasks without a tenant take turns
    /// together, as one. A limit by tenant implies it, with one task in a turn.
    pub fair: Option<NonZeroU32>,
    /// A task that has been ready for longer than this goes before younger ones of higher levels.
    pub age_after: Option<Duration>,
}

/// So many in so long, by the generic cell rate algorithm (ITU-T I.371): one becomes free every `per / count`, and what
/// was not used adds up to `burst`. No period of the length `per` sees more than `count + burst - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub per: Duration,
    /// How many may go at once after a quiet time; `count` when it is not said, and 1 for an even flow.
    pub burst: Option<NonZeroU32>,
}

/// The longest period and age: a year.
const MAX_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The most that a period may let through, so that what becomes free every millisecond can still be counted.
const MAX_COUNT: u32 = 1_000_000;
/// The longest turn of a tenant.
const MAX_QUANTUM: u32 = 1_000;
/// The greatest depth and size: what every number format between here and the store keeps exactly.
const MAX_NUMBER: u64 = 1 << 53;

// === impl QueuePolicy ===

impl QueuePolicy {
    /// True when tenants take turns.
    #[must_use]
    pub const fn is_shared_out(&self) -> bool {
        self.fair.is_some() || self.tenant_max_active.is_some() || self.tenant_rate.is_some()
    }

    /// Refuses numbers that no queue can keep.
    ///
    /// # Errors
    /// [`Error::InvalidPolicy`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        for (field, number) in [("max_depth", self.max_depth), ("max_bytes", self.max_bytes)] {
            if number.is_some_and(|number| number > MAX_NUMBER) {
                return invalid(field, format!("at most {MAX_NUMBER}"));
            }
        }
        for (field, rate) in [("rate", self.rate), ("tenant_rate", self.tenant_rate)] {
            if let Some(rate) = rate {
                rate.check(field)?;
            }
        }
        if self.fair.is_some_and(|quantum| quantum.get() > MAX_QUANTUM) {
            return invalid("fair", format!("at most {MAX_QUANTUM} tasks in a turn"));
        }
        if self.age_after.is_some_and(|age| age < Duration::from_millis(1) || age > MAX_PERIOD) {
            return invalid("age_after_ms", "from a millisecond to a year".to_owned());
        }
        Ok(())
    }
}

// === impl Rate ===

impl Rate {
    /// `count` in every `per`, all of which may go at once after a quiet time.
    #[must_use]
    pub const fn new(count: NonZeroU32, per: Duration) -> Self {
        Self { count, per, burst: None }
    }

    /// How many may go at once after a quiet time.
    #[must_use]
    pub fn burst(&self) -> NonZeroU32 {
        self.burst.unwrap_or(self.count)
    }

    fn check(&self, field: &'static str) -> Result<(), Error> {
        if self.count.get() > MAX_COUNT || self.burst().get() > MAX_COUNT {
            return invalid(field, format!("a count and a burst of at most {MAX_COUNT}"));
        }
        if self.per < Duration::from_millis(1) || self.per > MAX_PERIOD {
            return invalid(field, "a period from a millisecond to a year".to_owned());
        }
        Ok(())
    }
}

fn invalid(field: &'static str, reason: String) -> Result<(), Error> {
    Err(Error::InvalidPolicy { field, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn numbers_that_no_queue_can_keep_are_refused_by_name() {
        let day = Rate::new(count(1), Duration::from_secs(86_400));
        let wrong = [
            ("max_depth", QueuePolicy { max_depth: Some(u64::MAX), ..QueuePolicy::default() }),
            ("rate", QueuePolicy { rate: Some(Rate { per: Duration::ZERO, ..day }), ..QueuePolicy::default() }),
            (
                "tenant_rate",
                QueuePolicy { tenant_rate: Some(Rate { count: NonZeroU32::MAX, ..day }), ..QueuePolicy::default() },
            ),
            ("fair", QueuePolicy { fair: Some(count(1_001)), ..QueuePolicy::default() }),
            ("age_after_ms", QueuePolicy { age_after: Some(Duration::MAX), ..QueuePolicy::default() }),
        ];
        for (name, policy) in wrong {
            let Err(Error::InvalidPolicy { field, .. }) = policy.check() else { panic!("{name} was accepted") };
            assert_eq!(field, name);
        }
        assert!(QueuePolicy { rate: Some(day), max_depth: Some(0), ..QueuePolicy::default() }.check().is_ok());
    }
}
