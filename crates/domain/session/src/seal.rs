//! Payloads at rest: JSON as it is, or sealed with XChaCha20-Poly1305 (its nonces of 192 bits may be random).
//!
//! ```text
//! 0x01 | length of the key id | key id | nonce 24 bytes | ciphertext and tag
//! ```
//! What is sealed is bound to its session, its part and its version: moved elsewhere, or put back later, it does not open.

use bytes::Bytes;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use crate::{Error, KeyId, Keyring, SealingKey, SessionKey, token::fill};

/// No JSON begins with it.
const SEALED: u8 = 1;
const NONCE_LEN: usize = 24;

/// What a payload belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) key: SessionKey,
    /// `context` or `device`.
    pub(crate) part: &'static str,
    pub(crate) version: u64,
}

// === impl Place ===

impl Place {
    /// The form in which `json` is stored here.
    pub(crate) fn seal(&self, keyring: Option<&Keyring>, json: Vec<u8>) -> Result<Bytes, Error> {
        let Some(keyring) = keyring else { return Ok(json.into()) };
        let (id, key) = keyring.sealing();
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let payload = Payload { msg: &json, aad: &self.associated_data() };
        let ciphertext = cipher(key).encrypt(&XNonce::from(nonce), payload);
        // Only a text of 256 GiB is too long for the cipher.
        let ciphertext = ciphertext
            .map_err(|_| Error::InvalidInput { field: self.part, reason: "too long to be sealed".to_owned() })?;
        let id = id.as_str().as_bytes();
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        Ok([&[SEALED, length], id, &nonce, &ciphertext].concat().into())
    }

    /// The JSON that is stored here.
    pub(crate) fn open(&self, keyring: Option<&Keyring>, stored: &Bytes) -> Result<Bytes, Error> {
        let Some(sealed) = stored.strip_prefix(&[SEALED]) else { return Ok(stored.clone()) };
        let tampered = || Error::Tampered { what: self.part };
        let (id, nonce, ciphertext) = split(sealed).ok_or_else(tampered)?;
        let key = keyring.and_then(|keyring| keyring.find(&id)).ok_or(Error::UnknownKey { key_id: id })?;
        let payload = Payload { msg: ciphertext, aad: &self.associated_data() };
        cipher(key).decrypt(&XNonce::from(nonce), payload).map(Bytes::from).map_err(|_| tampered())
    }

    fn associated_data(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        [
            b"trackside.session.seal\0",
            self.part.as_bytes(),
            b"\0",
            self.key.user.as_bytes(),
            self.key.id.as_bytes(),
            &version,
        ]
        .concat()
    }
}

fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn split(sealed: &[u8]) -> Option<(KeyId, [u8; NONCE_LEN], &[u8])> {
    let (length, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
    Some((std::str::from_utf8(id).ok()?.parse().ok()?, *nonce, ciphertext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionId, UserTag};

    fn place() -> Place {
        let key = SessionKey { user: UserTag::of(&"alice".parse().unwrap()), id: SessionId::generate() };
        Place { key, part: "context", version: 3 }
    }

    fn keyring(id: &str) -> Keyring {
        Keyring::new(id.parse().unwrap(), SealingKey::generate().unwrap())
    }

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs_and_as_it_was() {
        let (place, keyring) = (place(), keyring("a"));
        let sealed = place.seal(Some(&keyring), b"{\"pin\":1234}".to_vec()).unwrap();
        assert_eq!(place.open(Some(&keyring), &sealed).unwrap(), "{\"pin\":1234}");
        assert!(!sealed.windows(4).any(|part| part == b"1234"));
        let elsewhere = SessionKey { id: SessionId::generate(), ..place.key };
        let others = SessionKey { user: UserTag::of(&"bob".parse().unwrap()), ..place.key };
        for wrong in [
            Place { key: elsewhere, ..place },
            Place { key: others, ..place },
            Place { part: "device", ..place },
            Place { version: 4, ..place },
        ] {
            assert!(matches!(wrong.open(Some(&keyring), &sealed), Err(Error::Tampered { .. })), "{wrong:?}");
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[index] ^= 0x10;
            let opened = place.open(Some(&keyring), &changed.into());
            assert_ne!(opened.ok().as_deref(), Some(b"{\"pin\":1234}".as_slice()), "byte {index}");
            assert!(place.open(Some(&keyring), &sealed.slice(..index)).ok().is_none_or(|opened| opened.is_empty()));
        }
    }

    #[test]
    fn a_key_that_is_gone_is_named_and_an_older_one_still_opens() {
        let (place, old) = (place(), keyring("2026-10"));
        let sealed = place.seal(Some(&old), b"{}".to_vec()).unwrap();
        let new = keyring("2026-11");
        let error = place.open(Some(&new), &sealed).unwrap_err();
        assert_eq!(error.to_string(), "the session is sealed with the key 2026-10, which is not in the keyring");
        assert!(!error.is_logged_out());
        assert!(matches!(place.open(None, &sealed), Err(Error::UnknownKey { .. })));
        let both = new.with_older("2026-10".parse().unwrap(), old.sealing().1.clone());
        assert_eq!(place.open(Some(&both), &sealed).unwrap(), "{}");
        assert_eq!(both.sealing().0.as_str(), "2026-11");
        let plain = place.seal(None, b"{}".to_vec()).unwrap();
        assert_eq!(place.open(Some(&both), &plain).unwrap(), "{}", "stored before there was a key");
    }
}
