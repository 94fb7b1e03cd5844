//! The keys of rate limits. This page is their reference.
//!
//! | name | type | holds | lives |
//! |---|---|---|---|
//! | `limits:{<group>}:<limit>:<algorithm><window>:<value>` | string, or with `concurrent` a sorted set | what was taken, as the algorithm's script says; the window in ms | until nothing of it counts any more |
//! | `limits:{<group>}:<limit>:fast<window>:<value>:<number>` | string | what was taken in one window, by its number | two windows |
//! | `limits:{<group>}:reservation:<id>` | string | what was taken for it, and from which counters | until it is settled, two windows at most |
//! | `{limits}:processes` | sorted set | processes that limit, by the time until which they are there | 10 s after the last of them has gone |
//! | `{limits}:overrides` | hash | limits of their own by `<policy>\n<limit>\n<value>`; under the empty name the version | for good: they are settings |
//!
//! A group is a policy, or a policy and what it counts within: `free`, `free:acme`. The counters of a check are in one group, and
//! a group is in one slot of a Cluster (`docs/adr/0008-the-counters-of-a-policy-share-a-slot.md`).

use trackside_core::{KeyPatterns, KeyPrefix};

use crate::{Counter, Group, ReservationId};

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: KeyPrefix,
}

/// The keys of rate limits, for access rules.
#[must_use]
pub fn key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%limits:*", "%{limits}:*"], &[])
}

// === impl Keys ===

impl Keys {
    pub(super) const fn new(prefix: KeyPrefix) -> Self {
        Self { prefix }
    }

    pub(super) fn counter(&self, group: &Group, counter: &Counter) -> String {
        let Counter { limit, value, quota, .. } = counter;
        let (algorithm, window) = (quota.algorithm.as_str(), quota.window.as_millis());
        self.prefix.key(&format!("limits:{{{group}}}:{limit}:{algorithm}{window}:{value}"))
    }

    pub(super) fn reservation(&self, group: &Group, id: ReservationId) -> String {
        self.prefix.key(&format!("limits:{{{group}}}:reservation:{id}"))
    }

    pub(super) fn processes(&self) -> String {
        self.prefix.key("{limits}:processes")
    }

    pub(super) fn overrides(&self) -> String {
        self.prefix.key("{limits}:overrides")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Quota, Unit};

    #[test]
    fn the_names_are_the_documented_ones() {
        let keys = Keys::new(KeyPrefix::new("app:"));
        let group = Group { policy: "free".parse().unwrap(), within: Some("acme".to_owned()) };
        let quota = Quota::new(1, Duration::from_secs(60));
        let (limit, value) = ("user".parse().unwrap(), "alice".to_owned());
        let counter = Counter { limit, value, quota, unit: Unit::Cost, units: 1, wish: 0, is_shadow: false };
        assert_eq!(keys.counter(&group, &counter), "app:limits:{free:acme}:user:window60000:alice");
        let id = ReservationId::from_u128(7);
        let record = "app:limits:{free:acme}:reservation:00000000000000000000000000000007";
        assert_eq!(keys.reservation(&group, id), record);
        assert_eq!([keys.processes(), keys.overrides()], ["app:{limits}:processes", "app:{limits}:overrides"]);
    }
}
