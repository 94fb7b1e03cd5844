//! Which slots a schedule has: the arithmetic of calendars and intervals.

use std::{collections::VecDeque, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use trackside_core::Timestamp;

use super::{Schedule, When, firing};
use crate::{Error, limits};

/// The shortest interval.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The longest interval and the longest jitter.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The longest cron expression, in bytes.
const MAX_EXPRESSION: usize = 256;

/// When slots are, read from a [`When`].
#[derive(Debug, Clone)]
pub(crate) enum Calendar {
    Cron { cron: Box<Cron>, zone: Tz },
    Every { millis: u64 },
}

/// What is to be done about a schedule at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Slots whose time has come, oldest first: the newest ones, as many as were asked for.
    pub(super) slots: VecDeque<Timestamp>,
    /// The first slot whose time has not come.
    pub(super) next: Timestamp,
}

// === impl Calendar ===

impl Calendar {
    /// Reads `when`.
    ///
    /// # Errors
    /// [`Error::InvalidSchedule`] with the field that is wrong.
    pub(crate) fn of(when: &When) -> Result<Self, Error> {
        match when {
            When::Every { interval } if (MIN_INTERVAL..=MAX_INTERVAL).contains(interval) => {
                Ok(Self::Every { millis: limits::millis(*interval) })
            }
            When::Every { .. } => Err(invalid("every_ms", "from 100 ms to 366 days")),
            When::Cron { expression, timezone } => {
                if expression.len() > MAX_EXPRESSION {
                    return Err(invalid("cron", format!("at most {MAX_EXPRESSION} bytes")));
                }
                // The parser takes a list without a value for one, and then looks for its time for ever.
                if expression.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
                    return Err(invalid("cron", "a list has nothing between its commas"));
                }
                let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
                let cron = parser.parse(expression).map_err(|error| invalid("cron", error.to_string()))?;
                let zone = Tz::from_str(timezone)
                    .map_err(|_| invalid("timezone", "not a name of the IANA time zone database, such as UTC"))?;
                let calendar = Self::Cron { cron: Box::new(cron), zone };
                match calendar.next_after(Timestamp::from_millis(0)) {
                    Some(_) => Ok(calendar),
                    None => Err(invalid("cron", "there is no such day")),
                }
            }
        }
    }

    /// The first slot after `at`. `None` only where time ends.
    pub(crate) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { millis } => Some(Timestamp::from_millis((at.as_millis() / millis + 1).checked_mul(*millis)?)),
            Self::Cron { cron, zone } => {
                timestamp(&cron.find_next_occurrence(&second_of(at)?.with_timezone(zone), false).ok()?)
            }
        }
    }

    /// The last slot that is not after `at`.
    fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { millis } => Some(Timestamp::from_millis(at.as_millis() / millis * millis)),
            Self::Cron { cron, zone } => {
                timestamp(&cron.find_previous_occurrence(&second_of(at)?.with_timezone(zone), true).ok()?)
            }
        }
    }

    /// What is due at `now` of the slots from `first` on, of which the newest `most` are of interest.
    ///
    /// However long ago `first` was, this looks at `most` slots and those within the jitter.
    pub(super) fn due(&self, schedule: &Schedule, first: Timestamp, now: Timestamp, most: usize) -> Option<Due> {
        let jitter = limits::millis(schedule.jitter);
        let mut slots = VecDeque::new();
        let mut next = first;
        // Slots before this are due whatever their jitter is.
        let surely =
            now.as_millis().checked_sub(jitter).and_then(|until| self.last_until(Timestamp::from_millis(until)));
        if let Some(newest) = surely.filter(|newest| *newest >= first) {
            let mut slot = newest;
            while slots.len() < most && slot >= first {
                slots.push_front(slot);
                match slot.as_millis().checked_sub(1).and_then(|until| self.last_until(Timestamp::from_millis(until))) {
                    Some(before) => slot = before,
                    None => break,
                }
            }
            next = self.next_after(newest)?;
        }
        while firing::run_at(schedule, next) <= now {
            if slots.len() == most {
                slots.pop_front();
            }
            slots.push_back(next);
            next = self.next_after(next)?;
        }
        Some(Due { slots, next })
    }
}

/// The second that `at` is in: calendars know no smaller unit.
fn second_of(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(at.as_millis() / 1_000).ok()?, 0)
}

fn timestamp(at: &DateTime<Tz>) -> Option<Timestamp> {
    u64::try_from(at.timestamp_millis()).ok().map(Timestamp::from_millis)
}

pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
    Error::InvalidSchedule { field, reason: reason.into() }
}

#[cfg(test)]
mod tests;
