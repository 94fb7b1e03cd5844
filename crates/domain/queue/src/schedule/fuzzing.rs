//! Calendars and stored schedules, read from any bytes.

use std::time::Duration;

use trackside_core::Timestamp;

#[cfg(feature = "redis")]
pub(crate) use super::redis::fuzzing::record;
use super::{Calendar, When};

/// `<expression>\n<time zone>\n<milliseconds>`, or `<milliseconds of the interval>\n\n<milliseconds>`.
pub(crate) fn calendar(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (first, timezone) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let at = Timestamp::from_millis(lines.next().and_then(|at| at.parse().ok()).unwrap_or(0));
    let when = match first.parse() {
        Ok(millis) => When::Every { interval: Duration::from_millis(millis) },
        Err(_) => When::Cron { expression: first.to_owned(), timezone: timezone.to_owned() },
    };
    let Ok(calendar) = Calendar::of(&when) else { return };
    if let Some(next) = calendar.next_after(at) {
        assert!(next > at, "{when:?} after {at:?} is {next:?}");
    }
}
