//! The secret that a caller shows, and what is kept of it.
//!
//! ```text
//! trk_ <id: 8 characters> _ <56 characters: 32 secret bytes, then 3 bytes of checksum>
//! ```
//! In the alphabet `0-9a-v` (RFC 4648 base32hex in lower case). A scanner of repositories and logs finds one with
//! `trk_[0-9a-v]{8}_[0-9a-v]{56}`, and the checksum tells a slip of the finger from a key that was revoked.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_DNSSEC, HEXLOWER};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::InvalidKey;

const PREFIX: &str = "trk_";
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;
const CHECK_BYTES: usize = 3;

/// The public name of a key: stands in the key itself, in the list of keys and in the access log.
///
/// ```
/// use trackside_api::ApiKeyId;
/// assert!("0123abcd".parse::<ApiKeyId>().is_ok());
/// assert!("0123ABCD".parse::<ApiKeyId>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId([u8; ID_BYTES]);

/// What a caller shows. It is told once, when it is made; its `Debug` hides it, and its memory is wiped.
///
/// ```
/// use trackside_api::ApiKeySecret;
/// let secret = ApiKeySecret::generate()?;
/// let shown = secret.expose().to_owned();
/// assert_eq!(shown.parse::<ApiKeySecret>().unwrap().id(), secret.id());
/// assert!(!format!("{secret:?}").contains(&shown));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ApiKeySecret {
    id: ApiKeyId,
    text: Zeroizing<String>,
}

/// SHA-256 of a key: all that is kept of it. A key has 256 random bits, which nobody can try out one by one; a slow hash,
/// made for passwords that people choose, would add nothing but work to every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyHash([u8; 32]);

// === impl ApiKeyId ===

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_DNSSEC.encode(&self.0))
    }
}

impl FromStr for ApiKeyId {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(decode(text).ok_or(InvalidKey::Id)?))
    }
}

// === impl ApiKeySecret ===

impl ApiKeySecret {
    /// A new key with a secret from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> std::io::Result<Self> {
        let mut id = [0; ID_BYTES];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut id).map_err(std::io::Error::other)?;
        getrandom::fill(secret.as_mut_slice()).map_err(std::io::Error::other)?;
        Ok(Self::of(ApiKeyId(id), &secret))
    }

    fn of(id: ApiKeyId, secret: &[u8; SECRET_BYTES]) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECK_BYTES]);
        let (first, check) = bytes.split_at_mut(SECRET_BYTES);
        first.copy_from_slice(secret);
        check.copy_from_slice(&checksum(id, secret));
        let text = Zeroizing::new(format!("{PREFIX}{id}_{}", BASE32_DNSSEC.encode(bytes.as_slice())));
        Self { id, text }
    }

    /// The name of the key, which is no secret.
    #[must_use]
    pub const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The key as a caller shows it. Whoever reads it is let in: for the one who asked for it, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// True for what looks like a key, whether or not it is one.
    pub(super) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl FromStr for ApiKeySecret {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let (id, rest) = parts.ok_or(InvalidKey::Secret)?;
        let id = id.parse()?;
        let bytes: Zeroizing<[u8; SECRET_BYTES + CHECK_BYTES]> =
            Zeroizing::new(decode(rest).ok_or(InvalidKey::Secret)?);
        let (secret, check) = bytes.split_first_chunk::<SECRET_BYTES>().ok_or(InvalidKey::Secret)?;
        if checksum(id, secret) != check {
            return Err(InvalidKey::Secret);
        }
        Ok(Self { id, text: Zeroizing::new(text.to_owned()) })
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeySecret").field("id", &self.id.to_string()).finish_non_exhaustive()
    }
}

fn checksum(id: ApiKeyId, secret: &[u8; SECRET_BYTES]) -> [u8; CHECK_BYTES] {
    let [a, b, c, ..]: [u8; 32] = Sha256::new().chain_update(id.0).chain_update(secret).finalize().into();
    [a, b, c]
}

/// Bytes that have exactly one spelling: this one.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != BASE32_DNSSEC.encode_len(N) || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    BASE32_DNSSEC.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

// === impl KeyHash ===

impl KeyHash {
    /// As it stands in the list of keys.
    pub(super) fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Takes the same time wherever the first difference is.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_scanners_look_for_and_one_wrong_character_is_noticed() {
        let shown = ApiKeySecret::of(ApiKeyId([7; 5]), &[42; 32]).expose().to_owned();
        let (id, rest) = shown.strip_prefix("trk_").unwrap().split_once('_').unwrap();
        assert_eq!((id.len(), rest.len()), (8, 56));
        let in_alphabet = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v'));
        assert!(in_alphabet(id) && in_alphabet(rest), "{shown}");
        for place in 4..shown.len() {
            let mut slipped = shown.clone().into_bytes();
            slipped[place] = if slipped[place] == b'3' { b'4' } else { b'3' };
            let slipped = String::from_utf8(slipped).unwrap();
            assert!(slipped.parse::<ApiKeySecret>().is_err(), "{slipped}");
        }
        for wrong in ["", "trk_", "trk__", &shown[1..], &shown.to_uppercase(), &format!("{shown}0"), "trs1_x"] {
            assert!(wrong.parse::<ApiKeySecret>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_keys_have_nothing_in_common() {
        let (one, other) = (ApiKeySecret::generate().unwrap(), ApiKeySecret::generate().unwrap());
        assert_ne!(one.id(), other.id());
        assert!(one.hash().is(&one.hash()) && !one.hash().is(&other.hash()));
        let kept = one.hash().to_hex();
        assert!(KeyHash::from_hex(&kept).unwrap().is(&one.hash()));
        assert!(KeyHash::from_hex(&kept[2..]).is_none());
    }
}
