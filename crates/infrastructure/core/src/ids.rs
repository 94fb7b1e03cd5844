//! Task ids: UUIDv7 with two extras, a hint to the queue and a counter.
//!
//! ```text
//! 48 bits  Unix milliseconds of the process that made it     (RFC 9562 §5.7)
//!  4 bits  version 7
//! 12 bits  route: a hash of the queue's name                 (rand_a)
//!  2 bits  variant
//! 22 bits  counter within the process, so that ids made in one millisecond keep their order
//! 40 bits  random
//! ```
//! The route lets a status request, which names no queue, go straight to the queue that holds the task, without a
//! key per task. It is a hint: two queues may share one, so a reader asks every queue that matches.

use std::{
    fmt,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{InvalidName, QueueName, Timestamp};

/// The id of a task: a UUIDv7, sortable by the time it was made.
///
/// ```
/// use trackside_core::{QueueName, TaskId};
/// let queue: QueueName = "exports".parse()?;
/// let (first, second) = (TaskId::generate(&queue), TaskId::generate(&queue));
/// assert!(first < second && first.to_key() < second.to_key());
/// assert_eq!(TaskId::from_key(&first.to_key())?, first);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Uuid);

/// Length of [`TaskId::to_key`]: 128 bits at six bits a character.
const KEY_LEN: usize = 22;
const COUNTER_BITS: u32 = 22;

/// Base 64 whose alphabet is in ASCII order, so that the short form sorts as the id does.
static ORDERED_BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
    spec.encoding().ok()
});

static COUNTER: AtomicU32 = AtomicU32::new(0);

// === impl TaskId ===

impl TaskId {
    /// A new id for a task of `queue`.
    #[must_use]
    pub fn generate(queue: &QueueName) -> Self {
        Self::generate_at(queue, Timestamp::now())
    }

    /// A new id for a task of `queue`, made at `at`.
    #[must_use]
    pub fn generate_at(queue: &QueueName, at: Timestamp) -> Self {
        let counter = u64::from(COUNTER.fetch_add(1, Ordering::Relaxed)) & ((1 << COUNTER_BITS) - 1);
        let random = rand::random::<u64>() & ((1 << 40) - 1);
        Self::derived(queue, at, (counter << 40) | random)
    }

    /// The id that follows from a queue, a time and a seed, and is the same whoever asks: of the seed the lower 62 bits
    /// count, which should be those of a good hash.
    #[must_use]
    pub fn derived(queue: &QueueName, at: Timestamp, seed: u64) -> Self {
        let high = (at.as_millis() << 16) | 0x7000 | u64::from(route(queue));
        Self(Uuid::from_u64_pair(high, (0b10 << 62) | (seed & (u64::MAX >> 2))))
    }

    /// False when the task is certainly not in `queue`.
    #[must_use]
    pub fn may_belong_to(&self, queue: &QueueName) -> bool {
        let (high, _) = self.0.as_u64_pair();
        high & 0x0fff == u64::from(route(queue))
    }

    /// When the id was made, by the clock of the process that made it.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        let (high, _) = self.0.as_u64_pair();
        Timestamp::from_millis(high >> 16)
    }

    /// The short form that stands in Redis: 22 printable characters that sort as the id does.
    #[must_use]
    pub fn to_key(&self) -> String {
        match ORDERED_BASE64.as_ref() {
            Some(base64) => base64.encode(self.0.as_bytes()),
            None => self.0.simple().to_string(),
        }
    }

    /// The id whose short form this is.
    ///
    /// # Errors
    /// When the text is not a short form.
    pub fn from_key(key: &str) -> Result<Self, InvalidName> {
        let invalid = InvalidName { what: "task id", rule: "22 characters of ordered base 64" };
        if key.len() != KEY_LEN {
            return Err(invalid);
        }
        let bytes = ORDERED_BASE64.as_ref().and_then(|base64| base64.decode(key.as_bytes()).ok());
        bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok()).map(Self).ok_or(invalid)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = InvalidName;

    /// Accepts the UUID, and the short form so that an id read in `redis-cli` can be pasted into a request.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == KEY_LEN {
            return Self::from_key(text);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidName { what: "task id", rule: "a UUID" })
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// FNV-1a folded to 12 bits: it is stored in ids, so it must never change.
fn route(queue: &QueueName) -> u16 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in queue.as_str().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    u16::try_from((hash ^ (hash >> 12) ^ (hash >> 24)) & 0x0fff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue() -> QueueName {
        "enhancement".parse().unwrap()
    }

    #[test]
    fn an_id_is_a_version_7_uuid_of_its_time() {
        let at = Timestamp::from_millis(1_767_225_600_123);
        let id = TaskId::generate_at(&queue(), at);
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.created_at(), at);
    }

    #[test]
    fn a_derived_id_follows_from_what_it_is_derived_of() {
        let at = Timestamp::from_millis(1_767_225_600_123);
        let id = TaskId::derived(&queue(), at, u64::MAX);
        assert_eq!(id, TaskId::derived(&queue(), at, u64::MAX));
        assert_ne!(id, TaskId::derived(&queue(), at, u64::MAX - 1));
        assert_eq!((id.as_uuid().get_version_num(), id.as_uuid().get_variant()), (7, uuid::Variant::RFC4122));
        assert!(id.may_belong_to(&queue()) && id.created_at() == at);
    }

    #[test]
    fn the_route_of_a_name_never_changes() {
        assert_eq!(route(&queue()), 0x448);
    }

    #[test]
    fn both_forms_are_parsed() {
        let id = TaskId::generate(&queue());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_key().parse(), Ok(id));
        assert!("not an id".parse::<TaskId>().is_err());
        assert!("!!!!!!!!!!!!!!!!!!!!!!".parse::<TaskId>().is_err());
    }

    proptest! {
        #[test]
        fn the_short_form_sorts_as_the_id_does(a in any::<u128>(), b in any::<u128>()) {
            let (a, b) = (TaskId(Uuid::from_u128(a)), TaskId(Uuid::from_u128(b)));
            prop_assert_eq!(a.cmp(&b), a.to_key().cmp(&b.to_key()));
            prop_assert_eq!(TaskId::from_key(&a.to_key()), Ok(a));
        }
    }
}
