//! The keys that payloads are sealed with.

use std::{fmt, str::FromStr, sync::Arc};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use trackside_core::InvalidName;
use zeroize::Zeroizing;

/// The name of a key, which is stored beside what it seals: 1–32 of `a-z A-Z 0-9 _ - .`.
///
/// ```
/// use trackside_session::KeyId;
/// assert!("2026-11".parse::<KeyId>().is_ok());
/// assert!("".parse::<KeyId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

/// A key of 256 bits. Its `Debug` hides it, and its memory is wiped when it is dropped.
///
/// ```
/// use trackside_session::SealingKey;
/// let key: SealingKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(format!("{key:?}"), "SealingKey(..)");
/// # Ok::<(), trackside_session::InvalidKey>(())
/// ```
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

/// A text that is no key of 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: 32 bytes in hexadecimal or base 64")]
pub struct InvalidKey;

/// The key that seals, and older ones that still open what they sealed.
///
/// To change the key, put the new one in front and keep the old one for the absolute lifetime of sessions: what a patch writes
/// is sealed with the new one, and the rest dies of age.
///
/// ```
/// use trackside_session::{Keyring, SealingKey};
/// let (old, new) = (SealingKey::generate()?, SealingKey::generate()?);
/// let before = Keyring::new("2026-10".parse()?, old.clone());
/// let after = Keyring::new("2026-11".parse()?, new).with_older("2026-10".parse()?, old);
/// # let _ = (before, after); Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keyring {
    sealing: (KeyId, SealingKey),
    older: Vec<(KeyId, SealingKey)>,
}

// === impl KeyId ===

impl KeyId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if !is_valid {
            return Err(InvalidName { what: "key id", rule: "1 to 32 letters, digits, '_', '-' or '.'" });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SealingKey ===

impl SealingKey {
    /// A new key from the operating system.
    ///
    /// # Errors
    /// [`Error::Entropy`](crate::Error::Entropy) when the operating system has no random numbers.
    pub fn generate() -> Result<Self, crate::Error> {
        let mut key = Zeroizing::new([0; 32]);
        crate::token::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// A key of these bytes, which should be random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for SealingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        for encoding in [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64URL_NOPAD] {
            if let Ok(bytes) = encoding.decode(text.as_bytes()).map(Zeroizing::new)
                && let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice())
            {
                return Ok(Self::new(key));
            }
        }
        Err(InvalidKey)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

// === impl Keyring ===

impl Keyring {
    /// A keyring that seals with `key`.
    #[must_use]
    pub const fn new(id: KeyId, key: SealingKey) -> Self {
        Self { sealing: (id, key), older: Vec::new() }
    }

    /// The same keyring, which also opens what `key` sealed.
    #[must_use]
    pub fn with_older(mut self, id: KeyId, key: SealingKey) -> Self {
        self.older.push((id, key));
        self
    }

    pub(crate) const fn sealing(&self) -> (&KeyId, &SealingKey) {
        (&self.sealing.0, &self.sealing.1)
    }

    pub(crate) fn find(&self, id: &KeyId) -> Option<&SealingKey> {
        std::iter::once(&self.sealing).chain(&self.older).find(|(known, _)| known == id).map(|(_, key)| key)
    }
}
