//! Validated names: what may stand in a key, a channel, a log field and a metric label.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name that was refused, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: {rule}")]
pub struct InvalidName {
    /// What the text was meant to be, such as `queue name`.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// The name of a queue: 1–64 of `a-z A-Z 0-9 _ - .`.
///
/// Braces and colons are excluded because the name stands inside a Redis hash tag.
///
/// ```
/// use trackside_core::QueueName;
/// assert!("agent_tasks".parse::<QueueName>().is_ok());
/// assert!("agent tasks".parse::<QueueName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

/// A user on whose behalf work runs: 1–128 printable ASCII characters, no space.
///
/// ```
/// use trackside_core::UserId;
/// assert!("user-42@example.org".parse::<UserId>().is_ok());
/// assert!("two words".parse::<UserId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// A worker process or a remote worker: 1–128 printable ASCII characters, no space and no `|`.
///
/// A process makes a random one at each start, so that a restarted worker is never mistaken for the one that died.
///
/// ```
/// use trackside_core::WorkerId;
/// assert_ne!(WorkerId::generate("api"), WorkerId::generate("api"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

/// The name of a schedule: 1–128 of `a-z A-Z 0-9 _ - . :`.
///
/// ```
/// use trackside_core::ScheduleName;
/// assert!("reports:nightly".parse::<ScheduleName>().is_ok());
/// assert!("every night".parse::<ScheduleName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleName(Arc<str>);

const QUEUE_RULE: &str = "1 to 64 letters, digits, '_', '-' or '.'";
const SCHEDULE_RULE: &str = "1 to 128 letters, digits, '_', '-', '.' or ':'";
const USER_RULE: &str = "1 to 128 printable ASCII characters without spaces";
const WORKER_RULE: &str = "1 to 128 printable ASCII characters without spaces or '|'";

// === impl QueueName, ScheduleName, UserId, WorkerId ===

/// Makes a text that was checked of `struct $name(Arc<str>)`. For names of other crates that no message carries.
#[doc(hidden)]
#[macro_export]
macro_rules! checked_text {
    ($name:ident, $what:literal, $rule:expr, |$text:ident| $valid:expr) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::InvalidName;

            fn from_str($text: &str) -> Result<Self, Self::Err> {
                if $valid { Ok(Self($text.into())) } else { Err($crate::InvalidName { what: $what, rule: $rule }) }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! validated_name {
    ($name:ident, $what:literal, $rule:expr, |$text:ident| $valid:expr) => {
        checked_text!($name, $what, $rule, |$text| $valid);

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

validated_name!(QueueName, "queue name", QUEUE_RULE, |text| {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
});
validated_name!(ScheduleName, "schedule name", SCHEDULE_RULE, |text| {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
});
validated_name!(UserId, "user id", USER_RULE, |text| {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
});
validated_name!(WorkerId, "worker id", WORKER_RULE, |text| {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'|')
});

impl WorkerId {
    /// A new random id for this process: `<role>-<process id>-<64 random bits>`.
    #[must_use]
    pub fn generate(role: &'static str) -> Self {
        let random: u64 = rand::random();
        Self(format!("{role}-{}-{random:016x}", std::process::id()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_cannot_break_out_of_the_hash_tag() {
        for bad in ["", "a:b", "a{b", "a}b", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<QueueName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_checked_when_they_are_deserialised() {
        assert!(serde_json::from_str::<QueueName>("\"a:b\"").is_err());
        assert!(serde_json::from_str::<UserId>("\"a\\nb\"").is_err());
    }

    #[test]
    fn worker_ids_exclude_the_separator_of_the_owner_record() {
        assert!("a|b".parse::<WorkerId>().is_err());
    }
}
