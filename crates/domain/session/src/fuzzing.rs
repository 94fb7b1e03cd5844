//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use bytes::Bytes;
use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing::answer;
#[cfg(feature = "axum")]
use crate::web::fuzzing::headers;
use crate::{Keyring, SealingKey, SessionKey, SessionToken, UserTag, seal::Place};

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("session_sealed", sealed),
    ("session_token", token),
    #[cfg(feature = "redis")]
    ("session_answer", answer),
    #[cfg(feature = "axum")]
    ("session_headers", headers),
];

/// Nothing opens that was not sealed, and what is not sealed is itself.
fn sealed(bytes: &[u8]) {
    let Ok(id) = "a".parse() else { return };
    let keyring = Keyring::new(id, SealingKey::new([7; 32]));
    let key = SessionKey { user: UserTag::from_bytes([1; UserTag::LEN]), id: crate::SessionId::from_bytes([2; 16]) };
    let stored = Bytes::copy_from_slice(bytes);
    let opened = Place { key, part: "context", version: 3 }.open(Some(&keyring), &stored);
    match bytes.first() {
        Some(1) => assert!(opened.is_err(), "nobody has sealed it"),
        _ => assert!(opened.is_ok_and(|opened| opened == stored), "it is not sealed"),
    }
}

/// A token has one spelling.
fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = text.parse::<SessionToken>() {
        assert_eq!(token.expose(), text);
    }
    if let Ok(id) = text.parse::<crate::KeyId>() {
        assert_eq!(id.as_str(), text);
    }
    let _key = text.parse::<SealingKey>();
    if let Ok(id) = text.parse::<crate::SessionId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
