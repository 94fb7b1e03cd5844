//! What the store holds of an entry.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use trackside_core::InvalidName;

use crate::Tag;

/// Tags that one entry may bear, besides its namespace's.
pub const MAX_TAGS: usize = 16;

/// An entry as it is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// The value; `None` remembers that there is none.
    pub value: Option<Bytes>,
    /// What the bytes are, where a reader asks for it: printable ASCII.
    pub content_type: Option<Arc<str>>,
    /// How long it is fresh.
    pub ttl: Duration,
    /// How long after that it is kept, for readers that have nothing better.
    pub stale_for: Duration,
    /// The versions that its tags had before the value was made.
    pub stamp: Stamp,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// The value; `None` when it is known that there is none.
    pub value: Option<Bytes>,
    /// What the bytes are.
    pub content_type: Option<Arc<str>>,
    /// Grows with every change of the entry; 0 for a value that another program wrote under this name.
    pub version: u64,
    /// How long it is fresh from now on; zero when it is stale, and the maximum when that is not known or has no end, of a
    /// value that another program wrote.
    pub fresh_for: Duration,
    /// How long it is kept from now on.
    pub kept_for: Duration,
    /// The versions that its tags had before the value was made.
    pub stamp: Stamp,
}

/// Tags with their versions, in the order of the tags. An entry is valid while each of its tags still has the version
/// that it bears.
///
/// ```
/// use trackside_cache::Stamp;
/// let stamp = Stamp::new(vec![("b".parse()?, 7), ("a".parse()?, 3)]);
/// assert_eq!(stamp.to_string(), "a=3,b=7");
/// assert_eq!("a=3,b=7".parse(), Ok(stamp));
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Arc<[(Tag, u64)]>);

// === impl Stamp ===

impl Stamp {
    /// A stamp of these tags.
    #[must_use]
    pub fn new(mut tags: Vec<(Tag, u64)>) -> Self {
        tags.sort();
        tags.dedup_by(|a, b| a.0 == b.0);
        Self(tags.into())
    }

    /// The tags and their versions.
    #[must_use]
    pub fn tags(&self) -> &[(Tag, u64)] {
        &self.0
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (index, (tag, version)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{tag}={version}")?;
        }
        Ok(())
    }
}

impl FromStr for Stamp {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::default());
        }
        let pair = |pair: &str| {
            let (tag, version) = pair.rsplit_once('=')?;
            Some((tag.parse().ok()?, version.parse().ok()?))
        };
        let tags: Option<Vec<_>> = text.split(',').map(pair).collect();
        tags.map(Self::new).ok_or(InvalidName { what: "stamp", rule: "tag=version, separated by commas" })
    }
}

// === impl StoredEntry ===

impl StoredEntry {
    /// True until its TTL is over.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        !self.fresh_for.is_zero()
    }
}
