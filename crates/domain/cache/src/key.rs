//! Names: of a namespace, of an entry in it, and of a tag.

use std::sync::Arc;

use trackside_core::{InvalidName, checked_text};

/// The longest key, in bytes.
const MAX_KEY: usize = 512;
const NAMESPACE_RULE: &str = "1 to 64 letters, digits, '_', '-' or '.', and none of 'stats', 'tags' and 'warm'";
/// What is asked of the cache as a whole has these names where namespaces have theirs: a namespace would be out of reach.
const RESERVED: [&str; 3] = ["stats", "tags", "warm"];
const KEY_RULE: &str = "1 to 512 bytes without control characters or braces";
const TAG_RULE: &str = "1 to 128 printable ASCII characters without spaces, ',' or '='";

/// A group of entries with one policy: 1–64 of `a-z A-Z 0-9 _ - .`, and not `stats`, `tags` or `warm`.
///
/// ```
/// use trackside_cache::NamespaceName;
/// assert!("tenant_config".parse::<NamespaceName>().is_ok());
/// assert!("tenant:config".parse::<NamespaceName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(Arc<str>);

/// What many entries share, to be invalidated together: 1–128 printable ASCII characters without spaces, `,` or `=`.
///
/// ```
/// use trackside_cache::Tag;
/// assert!("project:42".parse::<Tag>().is_ok());
/// assert!("a=b".parse::<Tag>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// Where an entry is: the namespace, the key in it, and the name that the store keeps it under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryKey {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The key in the namespace.
    pub key: Arc<str>,
    /// The name in the store, without its prefix: the same for all processes.
    pub name: String,
}

/// What stands before and after a key in the name that the store keeps an entry under.
///
/// ```
/// use trackside_cache::KeyLayout;
/// assert_eq!(KeyLayout::of(&"page".parse()?).name("home"), "cache:page:home");
/// assert_eq!(KeyLayout::between("tenant:", ":config").name("7"), "tenant:7:config");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLayout {
    head: Arc<str>,
    tail: Arc<str>,
}

// === impl NamespaceName, Tag ===

checked_text!(NamespaceName, "cache namespace", NAMESPACE_RULE, |text| {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !RESERVED.contains(&text)
});
checked_text!(Tag, "cache tag", TAG_RULE, |text| {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'=')
});

impl Tag {
    /// The tag that every entry of a namespace bears, so that the whole namespace can be invalidated at once.
    pub(crate) fn of_namespace(namespace: &NamespaceName) -> Self {
        Self(format!("namespace:{namespace}").into())
    }
}

// === impl EntryKey ===

impl EntryKey {
    /// A key of a namespace, checked: braces would move the entry away from its lease in a Cluster.
    ///
    /// # Errors
    /// When the key is empty where the layout needs one, too long, or holds control characters or braces.
    pub fn new(namespace: &NamespaceName, layout: &KeyLayout, key: &str) -> Result<Self, InvalidName> {
        let plain = |c: char| !c.is_control() && c != '{' && c != '}';
        if key.is_empty() || key.len() > MAX_KEY || !key.chars().all(plain) {
            return Err(InvalidName { what: "cache key", rule: KEY_RULE });
        }
        Ok(Self { namespace: namespace.clone(), key: key.into(), name: layout.name(key) })
    }
}

// === impl KeyLayout ===

impl KeyLayout {
    /// `cache:<namespace>:<key>`.
    #[must_use]
    pub fn of(namespace: &NamespaceName) -> Self {
        Self::between(&format!("cache:{namespace}:"), "")
    }

    /// `<head><key><tail>`, for names that others know the entry by.
    #[must_use]
    pub fn between(head: &str, tail: &str) -> Self {
        Self { head: head.into(), tail: tail.into() }
    }

    /// The name of a key.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        [&*self.head, key, &*self.tail].concat()
    }

    /// The key of a name, or `None` when the name is none of this layout.
    #[must_use]
    pub fn key_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&*self.head)?.strip_suffix(&*self.tail).filter(|key| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_cannot_have_the_name_of_what_is_asked_of_the_whole_cache() {
        for reserved in RESERVED {
            let error = reserved.parse::<NamespaceName>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{reserved}'")), "{error}");
        }
        assert!("tags2".parse::<NamespaceName>().is_ok());
    }

    #[test]
    fn a_key_cannot_leave_its_slot_or_its_message() {
        let namespace: NamespaceName = "n".parse().unwrap();
        let layout = KeyLayout::of(&namespace);
        for bad in ["", "a{b}", "}", "line\nfeed", &"x".repeat(513)] {
            assert!(EntryKey::new(&namespace, &layout, bad).is_err(), "{bad:?}");
        }
        assert_eq!(EntryKey::new(&namespace, &layout, "an ä: key").unwrap().name, "cache:n:an ä: key");
        assert_eq!(layout.key_of("cache:n:an ä: key"), Some("an ä: key"));
        assert_eq!(layout.key_of("cache:n:"), None);
        assert_eq!(layout.key_of("cache:m:a"), None);
    }
}
