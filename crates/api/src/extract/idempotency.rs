//! `Idempotency-Key`: what a client calls its request, so that it may be repeated without fear.

use axum::extract::FromRequestParts;
use http::{HeaderName, HeaderValue, request::Parts};

use crate::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key.
const MAX_KEY: usize = 255;
/// Says that the request was known before and added nothing.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, where it has one: quoted as the standard's draft says, or bare as most clients send it.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let key = value.to_str().ok().and_then(unquoted).filter(|key| (1..=MAX_KEY).contains(&key.len()));
        match key.filter(|_| values.next().is_none()) {
            Some(key) => Ok(Self(Some(key))),
            None => Err(Problem::invalid_field(
                "Idempotency-Key",
                format!("one key of 1 to {MAX_KEY} printable ASCII characters, quoted or bare"),
            )),
        }
    }
}

/// The header of an answer to a request of which nothing was new.
pub(crate) fn replayed(is_replayed: bool) -> Option<[(HeaderName, HeaderValue); 1]> {
    is_replayed.then(|| [(REPLAYED, HeaderValue::from_static("true"))])
}

/// The content of a string of structured fields (RFC 8941), or the text itself when it has no quotes around it.
pub(crate) fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let (mut key, mut characters) = (String::new(), quoted.strip_suffix('"')?.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_quoted_and_bare() {
        for (text, key) in [("order-7", "order-7"), (" \"order-7\" ", "order-7"), (r#""a\"b\\c""#, r#"a"b\c"#)] {
            assert_eq!(unquoted(text).as_deref(), Some(key), "{text}");
        }
        for text in ["\"open", "a\"b", r#""a"b""#, r#""a\b""#, "\""] {
            assert_eq!(unquoted(text), None, "{text}");
        }
    }
}
