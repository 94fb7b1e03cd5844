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

/// The keys and channels of a store, in the patterns of Redis access rules (`~…` and `&…`).
///
/// ```
/// use trackside_core::{KeyPatterns, KeyPrefix};
/// let patterns = KeyPatterns::of(&KeyPrefix::new("app:"), &["%job:*", "{%*:queue}:*"], &["%job_updates"]);
/// assert_eq!(patterns.keys, ["app:job:*", "{app:*:queue}:*"]);
/// assert_eq!(patterns.channels, ["app:job_updates"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPatterns {
    /// Of keys.
    pub keys: Vec<String>,
    /// Of channels.
    pub channels: Vec<String>,
}

// === impl KeyPatterns ===

impl KeyPatterns {
    /// These patterns, in which `%` stands for the prefix.
    #[must_use]
    pub fn of(prefix: &KeyPrefix, keys: &[&str], channels: &[&str]) -> Self {
        // A prefix is a text, whatever it would mean in a pattern.
        let literal: String = prefix.as_str().chars().flat_map(escaped).collect();
        let filled = |patterns: &[&str]| patterns.iter().map(|pattern| pattern.replacen('%', &literal, 1)).collect();
        Self { keys: filled(keys), channels: filled(channels) }
    }

    /// All of these, each pattern once.
    #[must_use]
    pub fn all(several: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for Self { keys, channels } in several {
            all.keys.extend(keys);
            all.channels.extend(channels);
        }
        for patterns in [&mut all.keys, &mut all.channels] {
            patterns.sort();
            patterns.dedup();
        }
        all
    }
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\').into_iter().chain([c])
}

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
