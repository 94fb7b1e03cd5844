//! The keys and channels of control. This page is their reference; `<scope>` is a user id, or `*` for everyone.
//!
//! | name | type | holds | lives |
//! |---|---|---|---|
//! | `paused:<scope>` | string | `{"paused": true, "user_id", "since", "reason", "by", "expires_at", "revision", …}`: there while the brake is on | until it expires, where it does; **no TTL otherwise: a brake that lets go by itself is none** |
//! | `agent_brakes` | hash | `b:<scope>` the same JSON for every brake that is on, `rev` the last revision, `first` the first | **no TTL: it is the list of the brakes that must hold until somebody takes them off** |
//! | `agent_status:<user>` | string | `{"at", "status"}` | `status_ttl` |
//! | `agent_reports:<user>` | hash | task id → `ordered <time>` or `stopped <time>` | `report_ttl` after the last report |
//! | `agent:pause:<scope>` `agent:resume:<scope>` `agent:status:<user>` | channels | JSON objects, see [`Message`](crate::Message) | – |
//!
//! # Order of writing
//! On one server, a change of state, index and message is one script. In a Cluster the keys are in different slots: the index
//! is written first and is what counts; state and message follow. A process that dies in between leaves an index that every
//! process reads within seconds, so a pause holds and a resume lets go; whoever looks at the scope next corrects the state.

use trackside_core::{KeyPatterns, KeyPrefix, UserId};

use crate::{BrakeScope, Channel};

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: KeyPrefix,
}

/// The keys and channels of control, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(
        prefix,
        &["%paused:*", "%agent_brakes", "%agent_status:*", "%agent_reports:*"],
        &["%agent:pause:*", "%agent:resume:*", "%agent:status:*"],
    )
}

// === impl Keys ===

impl Keys {
    pub(super) const fn new(prefix: KeyPrefix) -> Self {
        Self { prefix }
    }

    pub(super) fn state(&self, scope: &BrakeScope) -> String {
        self.prefix.key(&format!("paused:{scope}"))
    }

    pub(super) fn index(&self) -> String {
        self.prefix.key("agent_brakes")
    }

    pub(super) fn status(&self, user_id: &UserId) -> String {
        self.prefix.key(&format!("agent_status:{user_id}"))
    }

    pub(super) fn reports(&self, user_id: &UserId) -> String {
        self.prefix.key(&format!("agent_reports:{user_id}"))
    }

    pub(super) fn channel(&self, channel: Channel, scope: &BrakeScope) -> String {
        self.prefix.key(&format!("agent:{}:{scope}", channel.as_str()))
    }

    /// The patterns of all channels.
    pub(super) fn patterns(&self) -> Vec<String> {
        Channel::ALL.iter().map(|channel| self.prefix.key(&format!("agent:{}:*", channel.as_str()))).collect()
    }

    /// Which channel a name is, and whom it is about.
    pub(super) fn parse_channel(&self, name: &str) -> Option<(Channel, BrakeScope)> {
        let (channel, scope) = self.prefix.strip(name)?.strip_prefix("agent:")?.split_once(':')?;
        let channel = Channel::ALL.into_iter().find(|known| known.as_str() == channel)?;
        Some((channel, BrakeScope::from(scope.parse::<UserId>().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_name_is_read_as_it_was_written() {
        let keys = Keys::new(KeyPrefix::new("staging:"));
        for scope in [BrakeScope::Everyone, BrakeScope::User("a:b".parse().unwrap())] {
            let name = keys.channel(Channel::Resume, &scope);
            assert_eq!(keys.parse_channel(&name), Some((Channel::Resume, scope)));
        }
        assert_eq!(keys.parse_channel("agent:pause:42"), None);
        assert_eq!(keys.parse_channel("staging:agent:other:42"), None);
    }
}
