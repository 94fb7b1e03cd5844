//! Correlation: the id that joins a request, its tasks, their progress and every log line.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::InvalidName;

/// The id that joins everything done for one request: 1–128 of `A-Z a-z 0-9 . _ -`.
///
/// ```
/// use trackside_core::CorrelationId;
/// assert_eq!(CorrelationId::accept(Some("order-7")).as_str(), "order-7");
/// // Unsafe to print, so it is replaced rather than echoed.
/// assert_ne!(CorrelationId::accept(Some("a\r\nSet-Cookie: x")).as_str(), "a\r\nSet-Cookie: x");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

/// A W3C `traceparent` of version 00, as it stands in the header.
///
/// ```
/// use trackside_core::TraceParent;
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = header.parse()?;
/// assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceParent(Arc<str>);

const CORRELATION_RULE: &str = "1 to 128 letters, digits, '.', '_' or '-'";
const TRACE_PARENT_RULE: &str = "version 00 of a W3C traceparent: 00-<32 hex>-<16 hex>-<2 hex>, not all zero";

// === impl CorrelationId ===

impl CorrelationId {
    /// A new id (UUIDv7).
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The caller's id when it is well formed, otherwise a new one.
    #[must_use]
    pub fn accept(candidate: Option<&str>) -> Self {
        candidate.and_then(|text| text.parse().ok()).unwrap_or_else(Self::generate)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if valid { Ok(Self(text.into())) } else { Err(InvalidName { what: "correlation id", rule: CORRELATION_RULE }) }
    }
}

// === impl TraceParent ===

impl TraceParent {
    /// The header's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 hex digits that name the trace.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

impl FromStr for TraceParent {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower_hex =
            |part: &str, len: usize| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let not_zero = |part: &str| part.bytes().any(|b| b != b'0');
        let mut parts = text.split('-');
        let valid = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("00"), Some(trace), Some(span), Some(flags), None) => {
                lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2) && not_zero(trace) && not_zero(span)
            }
            _ => false,
        };
        if valid { Ok(Self(text.into())) } else { Err(InvalidName { what: "traceparent", rule: TRACE_PARENT_RULE }) }
    }
}

macro_rules! text_on_the_wire {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

text_on_the_wire!(CorrelationId);
text_on_the_wire!(TraceParent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_of_zeroes_or_another_version_is_refused() {
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_generated_correlation_id_is_itself_acceptable() {
        let id = CorrelationId::generate();
        assert_eq!(CorrelationId::accept(Some(id.as_str())), id);
    }
}
