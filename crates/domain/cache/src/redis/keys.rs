//! The keys and the channel of the cache. This page is their reference; `<name>` is the name of an entry.
//!
//! | name | type | holds | lives |
//! |---|---|---|---|
//! | `cache:<namespace>:<key>` | string | the value as it is, or compressed when it begins with the byte 1 | `ttl`, and the time that it may be stale |
//! | `project:<id>:data` `project:<id>:<entry>` | string | the same: project data and the named entries of a project | the same |
//! | `tenant:<id>:config` `kb_search:<digest>` `tool_registry` `job:<id>:status` | string | the same: the ready-made caches | the same |
//! | `{<name>}:record` | string | `<version> <fresh until> <stale ms> <kind> <writer> <stamp> <content type>` | with the value; 10 min after a deletion |
//! | `{<name>}:lease` | string | who loads the entry, or `!` while nobody may | until it is loaded; `load_timeout` at most |
//! | `cache_tag:<tag>` | string | the version of the tag | 7 days after an entry was last made with it |
//! | `cache_changes` | channel | `<source> <number> <what> <version> <namespace> <key>` for every change | – |
//!
//! A value is what it is, so any client reads it with `GET`, and may write one with `SETEX` or remove it with `DEL`: such a
//! value has no version and nobody is told of it. The braces around a name keep record and lease in the slot of the value.

use trackside_core::{KeyPatterns, KeyPrefix};

use crate::{EntryKey, Tag};

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: KeyPrefix,
    /// Whether the prefix decides the slot of every key by itself.
    is_tagged: bool,
}

/// The keys and channels of the cache, the ready-made ones included, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(
        prefix,
        &[
            "%cache:*",
            "{%cache:*}:*",
            "%project:*",
            "{%project:*}:*",
            "%tenant:*",
            "{%tenant:*}:*",
            "%kb_search:*",
            "{%kb_search:*}:*",
            "%tool_registry*",
            "{%tool_registry}:*",
            "%job:*",
            "{%job:*}:*",
            "%cache_tag:*",
        ],
        &["%cache_changes"],
    )
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(prefix: KeyPrefix) -> Self {
        let tag = prefix.as_str().split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let is_tagged = tag.is_some_and(|(tag, _)| !tag.is_empty());
        Self { prefix, is_tagged }
    }

    pub(super) fn value(&self, key: &EntryKey) -> String {
        self.prefix.key(&key.name)
    }

    pub(super) fn record(&self, key: &EntryKey) -> String {
        self.beside(&self.value(key), ":record")
    }

    /// The value, its record and its lease, as the scripts want them.
    pub(super) fn of(&self, key: &EntryKey) -> Vec<String> {
        let value = self.value(key);
        let (record, lease) = (self.beside(&value, ":record"), self.beside(&value, ":lease"));
        vec![value, record, lease]
    }

    pub(super) fn tag(&self, tag: &Tag) -> String {
        self.prefix.key(&format!("cache_tag:{tag}"))
    }

    pub(super) fn channel(&self) -> String {
        self.prefix.key("cache_changes")
    }

    /// The name of an entry whose value, record or lease a key is, or of a tag, without the prefix; and whether it is the
    /// value.
    pub(super) fn name_of<'k>(&self, key: &'k str) -> Option<(&'k str, bool)> {
        let beside = |key: &'k str| key.strip_suffix(":record").or_else(|| key.strip_suffix(":lease"));
        if let Some(inner) = beside(key) {
            let value =
                if self.is_tagged { Some(inner) } else { inner.strip_prefix('{').and_then(|k| k.strip_suffix('}')) };
            if let Some(name) = value.and_then(|value| self.prefix.strip(value)) {
                return Some((name, false));
            }
        }
        self.prefix.strip(key).map(|name| (name, true))
    }

    fn beside(&self, value: &str, tail: &str) -> String {
        if self.is_tagged { [value, tail].concat() } else { ["{", value, "}", tail].concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyLayout;

    fn entry() -> EntryKey {
        EntryKey::new(&"project".parse().unwrap(), &KeyLayout::between("project:", ""), "42:data").unwrap()
    }

    #[test]
    fn the_names_are_the_documented_ones() {
        let keys = Keys::new(KeyPrefix::default());
        assert_eq!(keys.of(&entry()), ["project:42:data", "{project:42:data}:record", "{project:42:data}:lease"]);
        assert_eq!(keys.tag(&"a".parse().unwrap()), "cache_tag:a");
    }

    #[test]
    fn a_prefix_that_decides_the_slot_is_left_to_decide_it() {
        for prefix in ["", "staging:", "{tenant}:", "{}:"] {
            let keys = Keys::new(KeyPrefix::new(prefix));
            for (index, key) in keys.of(&entry()).iter().enumerate() {
                assert_eq!(keys.name_of(key), Some(("project:42:data", index == 0)), "{key}");
            }
        }
        assert_eq!(Keys::new(KeyPrefix::new("{tenant}:")).of(&entry())[2], "{tenant}:project:42:data:lease");
    }
}
