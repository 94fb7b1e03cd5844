//! Every key of schedules in Redis, and what it holds.
//!
//! `S` stands for `{<prefix>trackside:schedules}`: the hash tag that keeps them in one slot of a Cluster, together with
//! the hash, whose whole name is the tag.
//!
//! | key | type | holds | expires |
//! |---|---|---|---|
//! | `trackside:schedules` | hash | name → record of every schedule, as `record.rs` describes | never: it is meant to stay |
//! | `S:due` | sorted set | names by the time at which somebody has to look; schedules that rest are not in it | never: follows the hash |
//! | `S:names` | sorted set | all names with score 0, for lists in order | never: follows the hash |
//! | `S:revision` | string | the last revision that was given | never: it must not repeat |

use trackside_core::{KeyPatterns, KeyPrefix};

/// The keys, in the order of `lib.lua`.
#[derive(Debug)]
pub(super) struct ScheduleKeys([String; 4]);

/// The keys and channels of schedules, for access rules.
#[must_use]
pub fn schedule_key_patterns(prefix: &KeyPrefix) -> KeyPatterns {
    KeyPatterns::of(prefix, &["%trackside:schedules", "{%trackside:schedules}:*"], &[])
}

// === impl ScheduleKeys ===

impl ScheduleKeys {
    pub(super) fn new(prefix: &KeyPrefix) -> Self {
        let schedules = prefix.key("trackside:schedules");
        let tagged = |name: &str| format!("{{{schedules}}}:{name}");
        let (due, names, revision) = (tagged("due"), tagged("names"), tagged("revision"));
        Self([schedules, due, names, revision])
    }

    /// What every script is passed.
    pub(super) const fn all(&self) -> &[String; 4] {
        &self.0
    }

    /// The hash of records.
    pub(super) fn schedules(&self) -> &str {
        &self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_names_are_the_real_ones() {
        let keys = ScheduleKeys::new(&KeyPrefix::new("p:"));
        assert_eq!(keys.schedules(), "p:trackside:schedules");
        assert_eq!(keys.all()[1], "{p:trackside:schedules}:due");
        assert_eq!(keys.all()[3], "{p:trackside:schedules}:revision");
    }
}
