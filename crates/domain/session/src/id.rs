//! How sessions are named: nothing here is secret.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use trackside_core::{InvalidName, UserId};
use uuid::Uuid;

/// The public id of a session, a UUIDv7: it names a session in lists and logs, and lets nobody in.
///
/// ```
/// use trackside_session::SessionId;
/// let (first, second) = (SessionId::generate(), SessionId::generate());
/// assert!(first < second);
/// assert_eq!(first.to_string().parse(), Ok(first));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

/// What stands for a user in keys and tokens: 128 bits of a hash of the user id.
///
/// It puts everything about a user into one slot of a Cluster, and keeps whatever a user id may contain out of keys.
///
/// ```
/// use trackside_session::UserTag;
/// let (alice, bob) = ("alice".parse()?, "bob".parse()?);
/// assert_eq!(UserTag::of(&alice), UserTag::of(&alice));
/// assert_ne!(UserTag::of(&alice), UserTag::of(&bob));
/// assert_eq!(UserTag::of(&alice).to_string().len(), 22);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserTag([u8; Self::LEN]);

/// Where a session is kept.
///
/// ```
/// use trackside_session::{SessionId, SessionKey, UserTag};
/// let key = SessionKey { user: UserTag::of(&"alice".parse()?), id: SessionId::generate() };
/// assert_eq!(key, key.clone());
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// Whose it is.
    pub user: UserTag,
    /// Which of the user's.
    pub id: SessionId,
}

// === impl SessionId ===

impl SessionId {
    /// A new id, greater than those made before by this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidName { what: "session id", rule: "a UUID" })
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

// === impl UserTag ===

impl UserTag {
    pub(crate) const LEN: usize = 16;

    /// The tag of a user.
    #[must_use]
    pub fn of(user_id: &UserId) -> Self {
        let digest = Sha256::new().chain_update(b"trackside.session.user\0").chain_update(user_id.as_str()).finalize();
        let mut tag = [0; Self::LEN];
        tag.copy_from_slice(&digest[..Self::LEN]);
        Self(tag)
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for UserTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}
