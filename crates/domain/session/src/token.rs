//! The secret of a session, what is stored of it, and the token that a client holds.
//!
//! ```text
//! trs1_ base64url( user tag 16 bytes | session id 16 bytes | secret 32 bytes )
//! ```
//! The prefix lets scanners of repositories and logs recognise a leaked token.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use trackside_core::InvalidName;
use zeroize::Zeroizing;

use crate::{Error, SessionId, SessionKey, UserTag};

const SECRET_LEN: usize = 32;
const TOKEN_LEN: usize = UserTag::LEN + 16 + SECRET_LEN;

/// What a client shows to be let in: where its session is, and 256 secret bits.
///
/// It is never stored, its `Debug` hides the secret, and it has no `Display`: [`expose`](Self::expose) says what it does. The
/// memory of the secret is wiped when it is dropped.
///
/// ```
/// use trackside_session::SessionToken;
/// assert!("trs1_forged".parse::<SessionToken>().is_err());
/// ```
#[derive(Clone)]
pub struct SessionToken {
    key: SessionKey,
    secret: Zeroizing<[u8; SECRET_LEN]>,
}

/// SHA-256 of a secret: all that a store knows of it. A secret has 256 random bits, so that no slow hash is needed.
///
/// ```
/// use trackside_session::SecretHash;
/// let hash = SecretHash::of(&[7; 32]);
/// assert_eq!(hash, SecretHash::of(&[7; 32]));
/// assert_eq!(hash.to_hex().len(), 64);
/// ```
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

/// 256 random bits from which, together with the secret before it, a rotation makes the next secret. Worth nothing alone.
///
/// ```
/// use trackside_session::Salt;
/// let salt = Salt::generate()?;
/// assert_eq!(Salt::from_hex(&salt.to_hex()), Some(salt));
/// # Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

// === impl SessionToken ===

impl SessionToken {
    /// What every token begins with.
    pub(crate) const PREFIX: &str = "trs1_";

    /// A token with a secret from the operating system.
    pub(crate) fn generate(key: SessionKey) -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        fill(secret.as_mut_slice())?;
        Ok(Self { key, secret })
    }

    /// The token that follows from this one: whoever has this one and the salt can make it, and nobody else.
    pub(crate) fn next(&self, salt: &Salt) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()) {
            let mac = mac.chain_update(b"trackside.session.next\0").chain_update(salt.0);
            secret.copy_from_slice(&mac.finalize().into_bytes());
        }
        Self { key: self.key, secret }
    }

    /// The token as a client gets and sends it. Whoever reads it is let in: for a cookie or a response, never for a log.
    #[must_use]
    pub fn expose(&self) -> String {
        let mut bytes = Zeroizing::new([0; TOKEN_LEN]);
        let (tag, rest) = bytes.split_at_mut(UserTag::LEN);
        let (id, secret) = rest.split_at_mut(16);
        tag.copy_from_slice(self.key.user.as_bytes());
        id.copy_from_slice(self.key.id.as_bytes());
        secret.copy_from_slice(self.secret.as_slice());
        [Self::PREFIX, &BASE64URL_NOPAD.encode(bytes.as_slice())].concat()
    }

    /// Where its session is.
    #[must_use]
    pub const fn key(&self) -> SessionKey {
        self.key
    }

    /// The public id of its session.
    #[must_use]
    pub const fn session_id(&self) -> SessionId {
        self.key.id
    }

    /// What a store may know of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }
}

impl FromStr for SessionToken {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = InvalidName { what: "session token", rule: "as it was handed out" };
        let encoded = text.strip_prefix(Self::PREFIX).ok_or_else(|| invalid.clone())?;
        let mut bytes = Zeroizing::new([0; TOKEN_LEN]);
        if BASE64URL_NOPAD.decode_len(encoded.len()) != Ok(TOKEN_LEN)
            || BASE64URL_NOPAD.decode_mut(encoded.as_bytes(), bytes.as_mut_slice()) != Ok(TOKEN_LEN)
        {
            return Err(invalid);
        }
        let (mut tag, mut id, mut secret) = ([0; UserTag::LEN], [0; 16], Zeroizing::new([0; SECRET_LEN]));
        tag.copy_from_slice(&bytes[..UserTag::LEN]);
        id.copy_from_slice(&bytes[UserTag::LEN..UserTag::LEN + 16]);
        secret.copy_from_slice(&bytes[UserTag::LEN + 16..]);
        let key = SessionKey { user: UserTag::from_bytes(tag), id: SessionId::from_bytes(id) };
        Ok(Self { key, secret })
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("session_id", &self.key.id).finish_non_exhaustive()
    }
}

// === impl SecretHash ===

impl SecretHash {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"trackside.session.secret\0").chain_update(secret).finalize();
        Self(digest.into())
    }

    /// In lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

/// In constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

// === impl Salt ===

impl Salt {
    /// A new one from the operating system.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the operating system has no random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut salt = [0; 32];
        fill(&mut salt)?;
        Ok(Self(salt))
    }

    /// In lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// What [`to_hex`](Self::to_hex) wrote.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Random bytes from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|source| Error::Entropy { source: source.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> SessionToken {
        let user = UserTag::of(&"alice".parse().unwrap());
        SessionToken::generate(SessionKey { user, id: SessionId::generate() }).unwrap()
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_in_no_other_way() {
        let token = token();
        let text = token.expose();
        assert_eq!(text.parse::<SessionToken>().unwrap().expose(), text);
        for length in 0..text.len() {
            assert!(text[..length].parse::<SessionToken>().is_err(), "cut to {length}");
        }
        for other in [format!("{text}A"), format!("{text}="), text.replace("trs1_", "trs2_"), format!(" {text}")] {
            assert!(other.parse::<SessionToken>().is_err(), "{other}");
        }
        // The last character has four bits that mean nothing; only one way to write them is taken.
        let last = text.chars().last().unwrap();
        let same: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .chars()
            .filter(|c| format!("{}{c}", &text[..text.len() - 1]).parse::<SessionToken>().is_ok())
            .collect();
        assert_eq!(same.len(), 4, "{same:?}");
        assert!(same.contains(&last));
    }

    #[test]
    fn neither_the_secret_nor_its_hash_is_shown() {
        let token = token();
        let salt = Salt::generate().unwrap();
        assert_eq!(format!("{salt:?}"), "Salt(..)");
        let shown = format!("{token:?} {:#?} {:?}", token, token.hash());
        let secret = BASE64URL_NOPAD.encode(token.secret.as_slice());
        assert!(
            !shown.contains(&secret)
                && !shown.contains(&token.expose()[60..])
                && !shown.contains(&token.hash().to_hex())
        );
        assert!(!shown.contains(&format!("{:?}", token.secret.as_slice())));
    }

    #[test]
    fn the_next_secret_needs_both_the_one_before_and_the_salt() {
        let (token, other) = (token(), token());
        let (salt, another) = (Salt::generate().unwrap(), Salt::generate().unwrap());
        assert_eq!(token.next(&salt).hash(), token.next(&salt).hash());
        assert_ne!(token.next(&salt).hash(), token.hash());
        assert_ne!(token.next(&salt).hash(), token.next(&another).hash());
        assert_ne!(token.next(&salt).hash(), other.next(&salt).hash());
        assert_eq!(token.next(&salt).key(), token.key());
    }
}
