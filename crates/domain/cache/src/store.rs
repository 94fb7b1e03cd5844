//! The port: what a cache store does, and the laws that every store obeys.
//!
//! A store keeps entries, leases and the versions of tags, and tells of every change. What is served, and how stale it may
//! be, is decided in `manager`.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{CacheFeed, EntryKey, Error, NewEntry, Stamp, StoredEntry, Tag};

/// How long a deleted entry's version is remembered: a write or a fill from before the deletion is still told apart.
pub const TOMBSTONE: Duration = Duration::from_secs(600);

/// Where entries live.
///
/// # Laws
/// Each law is a function in the `conformance` module and is run against every store.
///
/// - **C-L1 as it was** — an entry is read as it was put, until it is put again, deleted, or its time is over; nothing is a
///   miss and no error.
/// - **C-L2 versions** — each change of an entry has a higher version than every one before it.
/// - **C-L3 conditions** — a conditional change happens at once or not at all; one that is refused changes nothing and tells
///   the version that is there.
/// - **C-L4 expiry** — an entry is fresh for its `ttl`, then stale for `stale_for`, then gone.
/// - **C-L5 one lease** — while an entry is leased nobody else gets its lease. It ends with its time, its fill, its release,
///   and any put or deletion of the entry.
/// - **C-L6 fenced fill** — a fill whose lease is over is refused.
/// - **C-L7 repeatable** — a put, fill or deletion by a writer who has just done it changes nothing and answers the same, so
///   one whose answer was lost may be sent again.
/// - **C-L8 throttle** — a lease that is released for a time is given to nobody in that time, while the stale entry is there.
/// - **C-L9 told** — each change, each release and each new version of a tag is told to every feed that was made before it,
///   or the feed says [`CacheSignal::Gap`](crate::CacheSignal::Gap).
/// - **C-L10 tags** — the version of a tag stays until the tag is invalidated or forgotten, and no version comes twice.
/// - **C-L11 bounded** — a feed that is not read holds a bounded number of signals; when it overflows it says `Gap`.
/// - **C-L12 echo** — a mark comes back to the feeds of the store that sent it, after everything that this store was told
///   before on the server that took the mark.
/// - **C-L13 judged** — a lookup that names a stamp, or a version that is worth nothing, finds no other entry.
/// - **C-L14 renewed** — whoever has a lease can prolong it; nobody else can, and none that has ended (C-L5), not even while
///   nobody has taken it over.
///
/// Every method is one round trip, and one more for an entry that may be stale or a tag that is new. A timeout means that the
/// outcome is unknown; every method may be repeated.
#[async_trait]
pub trait CacheStore: Send + Sync + Debug + 'static {
    /// The entry, fresh or stale.
    async fn get(&self, key: &EntryKey) -> Result<Option<StoredEntry>, Error>;

    /// The entry, and when it is not fresh the lease to load it, unless somebody has that (C-L5, C-L8, C-L13).
    async fn lookup(&self, key: &EntryKey, lookup: &Lookup) -> Result<Found, Error>;

    /// Puts an entry. `writer` is random, one for each change, so that a repeated one is known again (C-L7).
    async fn put(&self, key: &EntryKey, entry: &NewEntry, when: Condition, writer: Writer) -> Result<Written, Error>;

    /// Removes an entry and ends its lease. A condition may be [`Condition::Always`] or [`Condition::Version`].
    async fn delete(&self, key: &EntryKey, when: Condition, writer: Writer) -> Result<Written, Error>;

    /// Has a lease end so long from now; false when the writer has it no more (C-L14).
    async fn renew(&self, key: &EntryKey, lease: Writer, time: Duration) -> Result<bool, Error>;

    /// Gives a lease back, and lets nobody have it for `throttle` (C-L8). Does nothing when it is over.
    async fn release(&self, key: &EntryKey, lease: Writer, throttle: Duration) -> Result<(), Error>;

    /// The versions of tags, in their order. A tag that is not known gets one that no entry bears (C-L10).
    async fn tag_versions(&self, tags: &[Tag]) -> Result<Vec<u64>, Error>;

    /// Gives a tag a new version: every entry that bears it becomes invalid, in O(1).
    async fn invalidate_tag(&self, tag: &Tag) -> Result<u64, Error>;

    /// Sends a mark to all feeds (C-L12).
    async fn mark(&self, mark: u64) -> Result<(), Error>;

    /// Listens to changes. Inside the process: never waits, never fails (C-L9, C-L11).
    fn listen(&self) -> CacheFeed;

    /// Looks at up to `limit` names from a cursor on, and gives every entry without a TTL one of `ttl`. The first cursor is
    /// [`SweepCursor::default`]; the sweep is whole when a page has no next one.
    async fn sweep(&self, cursor: SweepCursor, limit: usize, ttl: Duration) -> Result<SweepPage, Error>;
}

/// Who changes an entry or holds its lease: random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writer(pub u64);

/// When a change may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// In any case.
    Always,
    /// When there is no fresh entry.
    Absent,
    /// When the entry, fresh or stale, has this version.
    Version(u64),
    /// When nothing has changed since this version: neither a newer entry nor a newer deletion is known.
    AtMost(u64),
    /// While the writer holds the lease (C-L6).
    Leased,
}

/// What a lookup wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// Who gets the lease.
    pub writer: Writer,
    /// For how long.
    pub lease: Duration,
    /// The stamp that an entry must bear to count as fresh; `None` leaves the judgement to the caller.
    pub stamp: Option<Stamp>,
    /// Entries up to this version count as nothing.
    pub after: u64,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The entry, fresh or stale, also one that the lookup does not count.
    pub entry: Option<StoredEntry>,
    /// What became of the lease.
    pub claim: Claim,
}

/// What became of a lease that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The entry is fresh, nothing needs to be loaded.
    Fresh,
    /// The caller has the lease and must fill or release it.
    Granted,
    /// Somebody else has it, or it is throttled, for so long at most.
    Busy(Duration),
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It happened.
    Done {
        /// The version of the change.
        version: u64,
        /// Whether there was an entry before.
        existed: bool,
    },
    /// The condition did not hold.
    Refused {
        /// The version that is there; 0 when none is known.
        version: u64,
        /// The stamp of the entry that is there.
        stamp: Stamp,
    },
}

/// Where a sweep goes on; opaque, and of the store that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepCursor(pub Vec<u64>);

/// A part of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepPage {
    /// Names of ours that were looked at, with the bytes of their values; without the store's prefix.
    pub seen: Vec<(String, u64)>,
    /// Names that had no TTL and have one now.
    pub repaired: Vec<String>,
    /// Where to go on, or `None` at the end.
    pub next: Option<SweepCursor>,
}

// === impl Writer ===

impl Writer {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}
