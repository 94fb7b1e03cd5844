//! The one prefix under which every Redis key and channel is built.
//!
//! Each store builds its keys in its own `keys.rs`; this type makes sure that none of them forgets the prefix.

use std::fmt;

/// A prefix for every key and channel; empty by default, so that the documented names are the real ones.
///
/// ```
/// use trackside_core::KeyPrefix;
/// assert_eq!(KeyPrefix::default().key("paused:42"), "paused:42");
/// assert_eq!(KeyPrefix::new("staging:").key("paused:42"), "staging:paused:42");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

// === impl KeyPrefix ===

impl KeyPrefix {
    /// A prefix, taken as it is: include the separator you want.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self(prefix.into())
    }

    /// `name` under this prefix.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        let mut key = String::with_capacity(self.0.len() + name.len());
        key.push_str(&self.0);
        key.push_str(name);
        key
    }

    /// `name` without this prefix, or `None` when it does not carry it.
    #[must_use]
    pub fn strip<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.0.as_str())
    }

    /// The prefix itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
