//! The keys and the channel of progress. This page is their reference.
//!
//! | name | type | holds | lives |
//! |---|---|---|---|
//! | `progress:<id>` | stream | the events of one operation, ids `<epoch>-<seq>`; fields below | `ttl` after the last event, `ttl_after_end` once it has ended |
//! | `progress_updates` | channel | every event of every operation: `<id> <event id> <id before it, or -> <kind> <data>` | – |
//!
//! Fields of an entry: `k` the kind, `d` the data as JSON text, `s` the whole state as JSON text in every few entries (in a
//! `snapshot` the data is that already), `w` the writer in the first entry of an epoch. Unknown fields are ignored.
//!
//! One channel for all operations is enough for some 100 000 updates a second of one server; each process subscribes once,
//! while it has a stream open.

use trackside_core::{KeyPatterns, KeyPrefix};

use crate::ProgressId;

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: KeyPrefix,
}

/// The keys and channels of progress, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%progress:*"], &["%progress_updates"])
}

// === impl Keys ===

impl Keys {
    pub(super) const fn new(prefix: KeyPrefix) -> Self {
        Self { prefix }
    }

    pub(super) fn stream(&self, id: &ProgressId) -> String {
        self.prefix.key(&format!("progress:{id}"))
    }

    pub(super) fn channel(&self) -> String {
        self.prefix.key("progress_updates")
    }
}
