//! What a schedule must look like to be accepted.

use super::{
    CatchUp, MAX_CATCH_UP, Schedule,
    calendar::{Calendar, MAX_INTERVAL, invalid},
    firing,
};
use crate::{Config, Error, manager::check_task};

/// Checks a schedule and every task that it would make; answers its calendar.
pub(super) fn schedule(schedule: &Schedule, config: &Config) -> Result<Calendar, Error> {
    let calendar = Calendar::of(&schedule.when)?;
    if schedule.jitter > MAX_INTERVAL {
        return Err(invalid("jitter_ms", "at most 366 days"));
    }
    if let CatchUp::All { max } = schedule.catch_up
        && max.get() > MAX_CATCH_UP
    {
        return Err(invalid("catch_up", format!("at most {MAX_CATCH_UP} missed slots")));
    }
    check_task(&schedule.queue, &firing::extra_task(schedule), config)?;
    Ok(calendar)
}
