//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing as redis;
#[cfg(feature = "axum")]
use crate::web::fuzzing as web;
use crate::{NamespaceName, Stamp, Tag};

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("cache_names", names),
    #[cfg(feature = "axum")]
    ("cache_answer", web::answer),
    #[cfg(feature = "axum")]
    ("cache_headers", web::headers),
    #[cfg(feature = "redis")]
    ("cache_entry", redis::entry),
    #[cfg(feature = "redis")]
    ("cache_messages", redis::messages),
];

fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<NamespaceName>() {
        assert_eq!(name.to_string(), text);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.to_string(), text);
    }
    if let Ok(stamp) = text.parse::<Stamp>() {
        assert_eq!(stamp.to_string().parse(), Ok(stamp), "{text}");
    }
}
