//! A point in time: milliseconds since the Unix epoch in memory and in Redis, RFC 3339 UTC on the wire.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use trackside_core::Timestamp;
/// let at = Timestamp::from_millis(1_767_225_600_123);
/// assert_eq!(at.to_string(), "2026-01-01T00:00:00.123Z");
/// assert_eq!("2026-01-01T01:00:00.123+01:00".parse(), Ok(at));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The last millisecond that RFC 3339 can write: that of the year 9999.
const LAST: u64 = 253_402_300_799_999;

/// The text was not an RFC 3339 time from 1970 to 9999, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-01-01T12:00:00Z")]
pub struct InvalidTimestamp;

// === impl Timestamp ===

impl Timestamp {
    /// The wall clock of this machine, now.
    #[must_use]
    pub fn now() -> Self {
        Self(u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0))
    }

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time, later by `by` (whole milliseconds, saturating).
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Milliseconds from `earlier` to this time; 0 when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
        match time {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidTimestamp)?;
        let millis = u64::try_from(time.timestamp_millis()).ok().filter(|millis| *millis <= LAST);
        millis.map(Self).ok_or(InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialises_as_rfc3339_with_milliseconds() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(json, "\"2026-01-01T00:00:00.000Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    }

    #[test]
    fn a_time_that_could_not_be_written_again_is_refused() {
        let last: Timestamp = "9999-12-31T23:59:59.999Z".parse().unwrap();
        assert_eq!(last.to_string().parse(), Ok(last));
        assert_eq!("9999-12-31T23:59:59-23:59".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn refuses_times_before_1970_and_words() {
        assert_eq!("1969-12-31T23:59:59Z".parse::<Timestamp>(), Err(InvalidTimestamp));
        assert_eq!("tomorrow".parse::<Timestamp>(), Err(InvalidTimestamp));
    }
}
