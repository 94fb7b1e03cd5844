//! The port: what a session store does, and the laws that every store obeys.

use std::{
    fmt::{self, Debug},
    num::NonZeroU32,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_core::{Timestamp, UserId};

use crate::{Error, Salt, SecretHash, SessionId, SessionKey, UserTag, WhenFull};

/// Where sessions are kept.
///
/// # Laws
/// Each law is a function in the `conformance` module and is run against every store.
///
/// - **S-L1 as it was** — what is created is answered to whoever has the secret, and to nobody else.
/// - **S-L2 lifetimes** — a session ends when it is not used for its idle time, and at its absolute end however much it is
///   used. A use within `touch_every` of the last noted one writes nothing.
/// - **S-L3 no resurrection** — nothing brings back a session that is over: neither a use, nor a save, nor a rotation that
///   began before.
/// - **S-L4 no lost update** — a context is replaced only when its version is the expected one; otherwise what is there is
///   answered and nothing changes.
/// - **S-L5 one chain** — of all rotations of one secret exactly one makes the next secret. Repeats are answered with its salt
///   until the next secret is used for the first time, and are superseded from then on.
/// - **S-L6 reuse** — after a routine rotation the secret before is honoured for the grace period. Used after it, it destroys the
///   session; a secret that never was one does not.
/// - **S-L7 privilege change** — after a rotation for a change of privileges the secret before is refused at once; within the grace
///   period that raises no alarm.
/// - **S-L8 everywhere** — [`destroy_all`](Self::destroy_all) ends every session of the user but the kept one in one step,
///   and none of other users.
/// - **S-L9 limit** — a user has no more living sessions than allowed: the oldest goes or the new one is refused.
/// - **S-L10 list** — every living session of a user is listed, last used first, 256 at most, and nothing else is.
/// - **S-L11 repeatable** — a write whose answer was lost may be repeated: it answers the same and has no second effect.
/// - **S-L12 forgetting is a logout** — a store that has lost a part of what belongs to a session does not let anybody in by
///   the rest. (Only where parts can be lost: tests of such a store.)
///
/// A timeout means that the outcome is unknown.
#[async_trait]
pub trait SessionStore: Send + Sync + Debug + 'static {
    /// Creates a session (S-L1, S-L9, S-L11).
    async fn create(&self, new: &NewRecord, limit: Option<Limit>) -> Result<Creation, Error>;

    /// Lets somebody in and notes the use, in one round trip (S-L1, S-L2, S-L6).
    async fn load(&self, key: &SessionKey, secret: &SecretHash, touch_every: Duration) -> Result<Found, Error>;

    /// Replaces the context when its version is `expected` (S-L3, S-L4).
    async fn save(
        &self,
        key: &SessionKey,
        secret: &SecretHash,
        expected: u64,
        context: &Payload,
    ) -> Result<Saved, Error>;

    /// Replaces the secret (S-L5, S-L6, S-L7, S-L11).
    async fn rotate(&self, key: &SessionKey, secret: &SecretHash, next: &NextSecret) -> Result<Turned, Error>;

    /// Ends a session; answers whether this call did (S-L3).
    async fn destroy(&self, key: &SessionKey, authority: Authority<'_>) -> Result<bool, Error>;

    /// Ends every session of a user, or all but one (S-L8).
    async fn destroy_all(&self, user: &UserTag, keep: Option<SessionId>) -> Result<(), Error>;

    /// The living sessions of a user (S-L10).
    async fn list(&self, user: &UserTag) -> Result<Vec<Summary>, Error>;
}

/// JSON, or what it was sealed to. Its `Debug` tells the size only.
///
/// ```
/// use trackside_session::Payload;
/// assert_eq!(format!("{:?}", Payload("{}".into())), "2 bytes");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Bytes);

/// A session to be written down.
///
/// ```
/// use std::time::Duration;
/// use trackside_session::{NewRecord, Payload, SecretHash, SessionId, SessionKey, UserTag};
/// let user_id = "alice".parse()?;
/// let new = NewRecord {
///     key: SessionKey { user: UserTag::of(&user_id), id: SessionId::generate() },
///     secret: SecretHash::of(&[7; 32]), // of random bytes
///     user_id,
///     idle: Duration::from_secs(7_200),
///     absolute: Duration::from_secs(43_200),
///     context: Payload("{}".into()),
///     device: Payload("{}".into()),
/// };
/// assert!(new.idle < new.absolute);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Where.
    pub key: SessionKey,
    /// The hash of its secret.
    pub secret: SecretHash,
    /// Whose it is.
    pub user_id: UserId,
    /// How long it lives without use.
    pub idle: Duration,
    /// How long it lives at most.
    pub absolute: Duration,
    /// The context, of version 1.
    pub context: Payload,
    /// The device.
    pub device: Payload,
}

/// How many sessions a user may have.
///
/// ```
/// use trackside_session::{Limit, WhenFull};
/// let one_device = Limit { max: 1.try_into()?, when_full: WhenFull::Refuse };
/// assert_eq!(one_device.max.get(), 1);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// That many, 256 at most.
    pub max: NonZeroU32,
    /// And what happens then.
    pub when_full: WhenFull,
}

/// What became of [`SessionStore::create`].
///
/// ```
/// use trackside_session::Creation;
/// let is_logged_in = |creation: &Creation| matches!(creation, Creation::Created(_));
/// assert!(!is_logged_in(&Creation::Full));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Creation {
    /// It is there.
    Created(Record),
    /// The user has as many as allowed; nothing was changed.
    Full,
}

/// A session as it is stored.
///
/// ```
/// use trackside_session::Record;
/// fn tells_of_its_successor(record: &Record) -> bool {
///     record.is_superseded && record.version > 0
/// }
/// # let _ = tells_of_its_successor;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose it is.
    pub user_id: UserId,
    /// How often the context was written.
    pub version: u64,
    /// The context.
    pub context: Payload,
    /// The device.
    pub device: Payload,
    /// When it was created, by the store's clock as all of these.
    pub created_at: Timestamp,
    /// When its last use was noted.
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
    /// True when the secret was replaced, and is honoured still.
    pub is_superseded: bool,
}

/// What became of [`SessionStore::load`].
///
/// ```
/// use trackside_session::Found;
/// let is_logged_in = |found: &Found| matches!(found, Found::Active(_));
/// assert!(!is_logged_in(&Found::Unknown) && !is_logged_in(&Found::Reused));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Let in.
    Active(Record),
    /// There is no such session, or the secret is not its own.
    Unknown,
    /// A secret from before the last grace period: the session is destroyed.
    Reused,
}

/// What became of [`SessionStore::save`].
///
/// ```
/// use trackside_session::Saved;
/// let tries_again = |saved: &Saved| matches!(saved, Saved::Conflict(_));
/// assert!(!tries_again(&Saved::Unknown));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Saved {
    /// It is written.
    Written(Record),
    /// The version is another one; this is what is there.
    Conflict(Record),
    /// As [`Found::Unknown`].
    Unknown,
    /// As [`Found::Reused`].
    Reused,
}

/// The secret that follows.
///
/// ```
/// use std::time::Duration;
/// use trackside_session::{NextSecret, Rotation, Salt, SecretHash};
/// let next = NextSecret {
///     hash: SecretHash::of(&[7; 32]), // of what the salt and the secret before make
///     salt: Salt::generate()?,
///     rotation: Rotation::Routine,
///     grace: Duration::from_secs(30),
/// };
/// # let _ = next; Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NextSecret {
    /// Its hash.
    pub hash: SecretHash,
    /// What makes it, together with the one before; kept until it is used, for repeats of a routine rotation.
    pub salt: Salt,
    /// Why.
    pub rotation: Rotation,
    /// How long the one before is known.
    pub grace: Duration,
}

/// Why a secret is replaced.
///
/// ```
/// use trackside_session::Rotation;
/// assert_ne!(Rotation::Routine, Rotation::PrivilegeChange);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Because of its age: requests under way with the one before are served.
    Routine,
    /// Because the session may do more from now on: whoever knew the one before is shut out at once.
    PrivilegeChange,
}

/// What became of [`SessionStore::rotate`].
///
/// ```
/// use trackside_session::Turned;
/// let tells_a_secret = |turned: &Turned| matches!(turned, Turned::Rotated { .. });
/// assert!(!tells_a_secret(&Turned::Superseded));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Turned {
    /// The next secret is that of this salt; the first time, and repeated.
    Rotated {
        /// The session.
        record: Record,
        /// The salt of the secret that holds.
        salt: Salt,
    },
    /// The secret was replaced, and its successor has been used.
    Superseded,
    /// As [`Found::Unknown`].
    Unknown,
    /// As [`Found::Reused`].
    Reused,
}

/// By what right a session is ended.
///
/// ```
/// use trackside_session::{Authority, SecretHash};
/// let secret = SecretHash::of(&[0; 32]);
/// assert!(matches!(Authority::Secret(&secret), Authority::Secret(_)));
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// Because somebody is in it.
    Secret(&'a SecretHash),
    /// Because it belongs to the user of the key, who is known by other means.
    Owner,
}

/// A session in a list.
///
/// ```
/// use trackside_session::Summary;
/// fn newest_first(list: &mut [Summary]) {
///     list.sort_by_key(|summary| std::cmp::Reverse(summary.created_at));
/// }
/// # newest_first(&mut []);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Which.
    pub id: SessionId,
    /// The device.
    pub device: Payload,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last use was noted.
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
}

/// The most that are listed, and that a limit may be.
pub(crate) const MOST_LISTED: usize = 256;

// === impl Payload ===

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
