//! The keys of sessions. This page is their reference; `<user>` is 22 characters that stand for a user, `<id>` a UUID.
//!
//! | name | type | holds | lives |
//! |---|---|---|---|
//! | `session:{<user>}:<id>` | hash | `user`, `version`, `created`, `seen`, `idle`, `absolute` (times in ms), `context`, `device`, `hash` of the secret, `old` secrets' hashes and until when they are known, `salt` of a secret that was not used yet | the idle lifetime after the last noted use, and no longer than the absolute one |
//! | `session:{<user>}:index` | sorted set | the ids of the sessions that let somebody in, by the time they end | as long as the last of them |
//!
//! A record that is not in the index lets nobody in: it is what is left of a session that was ended with others, and dies of age.

use trackside_core::{KeyPatterns, KeyPrefix};

use crate::{SessionId, SessionKey, UserTag};

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: KeyPrefix,
}

/// The keys and channels of sessions, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%session:*"], &[])
}

// === impl Keys ===

impl Keys {
    pub(super) const fn new(prefix: KeyPrefix) -> Self {
        Self { prefix }
    }

    pub(super) fn record(&self, user: &UserTag, id: SessionId) -> String {
        self.prefix.key(&format!("session:{{{user}}}:{id}"))
    }

    pub(super) fn index(&self, user: &UserTag) -> String {
        self.prefix.key(&format!("session:{{{user}}}:index"))
    }

    /// The record and the index, as the scripts want them.
    pub(super) fn of(&self, key: &SessionKey) -> Vec<String> {
        vec![self.record(&key.user, key.id), self.index(&key.user)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_documented_ones() {
        let keys = Keys::new(KeyPrefix::new("app:"));
        let id = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
        let key = SessionKey { user: UserTag::of(&"alice".parse().unwrap()), id };
        assert_eq!(
            keys.of(&key),
            [
                "app:session:{W2tlwNlZxzVBItebA_EMpQ}:018f0000-0000-7000-8000-000000000001",
                "app:session:{W2tlwNlZxzVBItebA_EMpQ}:index"
            ]
        );
    }
}
