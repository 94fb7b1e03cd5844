//! [`Answer`]: an answer as it is kept, and as it is given again.
//!
//! In the store it is the length of the head in four bytes, the head as JSON, and the body as it was.

use std::time::Duration;

use axum_core::{body::Body, response::Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response::Parts};
use serde::{Deserialize, Serialize};
use trackside_core::Timestamp;

use super::{
    directives::{split, texts},
    key::fingerprint,
};

/// Headers that are of one connection, of one request, or made anew.
const LEFT_OUT: [&str; 14] = [
    "age",
    "cache-status",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
    "x-correlation-id",
    "x-request-id",
];
/// What a 304 repeats (RFC 9110, section 15.4.5).
const REPEATED: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::VARY,
];

/// An answer that may be given again.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    head: Head,
    headers: HeaderMap,
    status: StatusCode,
    body: Bytes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    /// Tells this answer from every other one.
    id: u64,
    status: u16,
    made_at: Timestamp,
    /// Seconds that it had on its way before it came here.
    age_s: u64,
    /// For how many seconds it was fresh then.
    fresh_s: u64,
    /// Values byte by byte: they need not be UTF-8.
    headers: Vec<(String, String)>,
}

/// What is kept is not an answer of this version.
#[derive(Debug, thiserror::Error)]
#[error("no answer of this layer is kept there")]
pub(super) struct NoAnswer;

// === impl Answer ===

impl Answer {
    pub(super) fn new(parts: &Parts, body: Bytes, made_at: Timestamp, fresh_for: Duration) -> Self {
        let age_s = texts(&parts.headers, &header::AGE).next().and_then(|age| age.parse().ok()).unwrap_or(0);
        let mut headers = parts.headers.clone();
        for name in LEFT_OUT {
            headers.remove(name);
        }
        if parts.status == StatusCode::OK && !headers.contains_key(header::ETAG) {
            let tag = HeaderValue::try_from(format!("\"{}\"", fingerprint(&body)));
            headers.extend(tag.ok().map(|tag| (header::ETAG, tag)));
        }
        let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
        let head = Head {
            id: rand::random(),
            status: parts.status.as_u16(),
            made_at,
            age_s,
            fresh_s: fresh_for.as_secs(),
            headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        };
        Self { head, headers, status: parts.status, body }
    }

    pub(super) fn encode(&self) -> Option<Bytes> {
        let head = serde_json::to_vec(&self.head).ok()?;
        let mut bytes = BytesMut::with_capacity(4 + head.len() + self.body.len());
        bytes.put_u32(u32::try_from(head.len()).ok()?);
        bytes.put_slice(&head);
        bytes.put_slice(&self.body);
        Some(bytes.freeze())
    }

    /// What was encoded; the body is not copied.
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, NoAnswer> {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(NoAnswer)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| NoAnswer)?;
        let head: Head = rest.get(..length).and_then(|head| serde_json::from_slice(head).ok()).ok_or(NoAnswer)?;
        let status = StatusCode::from_u16(head.status).map_err(|_| NoAnswer)?;
        let pair = |(name, value): &(String, String)| {
            let value: Vec<u8> = value.chars().map(|c| u8::try_from(c).ok()).collect::<Option<_>>()?;
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?))
        };
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        for pair in head.headers.iter().map(pair) {
            let (name, value) = pair.ok_or(NoAnswer)?;
            headers.append(name, value);
        }
        Ok(Self { headers, status, body: bytes.slice(4 + length..), head })
    }

    pub(super) const fn id(&self) -> u64 {
        self.head.id
    }

    /// How old it is.
    pub(super) const fn age(&self, now: Timestamp) -> Duration {
        Duration::from_secs(self.head.age_s.saturating_add(now.millis_since(self.head.made_at) / 1_000))
    }

    /// How many seconds it is still fresh, below zero when it was.
    pub(super) fn seconds_left(&self, now: Timestamp) -> i128 {
        i128::from(self.head.fresh_s) - i128::from(now.millis_since(self.head.made_at) / 1_000)
    }

    /// The answer to a request with these headers: 304 when it has it already.
    pub(super) fn respond(&self, request: &HeaderMap, now: Timestamp) -> Response {
        let is_known = self.status == StatusCode::OK && self.is_known(request);
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(self.body.clone()) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            for name in REPEATED {
                for value in self.headers.get_all(&name) {
                    response.headers_mut().append(&name, value.clone());
                }
            }
        } else {
            *response.status_mut() = self.status;
            *response.headers_mut() = self.headers.clone();
            response.headers_mut().insert(header::CONTENT_LENGTH, self.body.len().into());
        }
        response.headers_mut().insert(header::AGE, self.age(now).as_secs().into());
        response
    }

    /// Whether whoever asks has it already (RFC 9110, section 13.2.2).
    fn is_known(&self, request: &HeaderMap) -> bool {
        let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
        if request.contains_key(header::IF_NONE_MATCH) {
            let tag = texts(&self.headers, &header::ETAG).next().map(opaque);
            let mut known = texts(request, &header::IF_NONE_MATCH).flat_map(split);
            return known.any(|known| known == "*" || tag.as_ref() == Some(&opaque(known)));
        }
        // The same text is the same time; another one is as good as unknown.
        let modified = self.headers.get(header::LAST_MODIFIED);
        modified.is_some() && modified == request.get(header::IF_MODIFIED_SINCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let response = http::Response::builder()
            .header("content-type", "text/plain")
            .header("x-note", HeaderValue::from_bytes(b"caf\xe9").unwrap())
            .header("link", "<a>")
            .header("link", "<b>")
            .header("x-correlation-id", "of one request")
            .header("age", "5");
        let (parts, ()) = response.body(()).unwrap().into_parts();
        Answer::new(&parts, Bytes::from_static(b"hello"), Timestamp::from_millis(10_000), Duration::from_secs(60))
    }

    #[test]
    fn an_answer_is_decoded_as_it_was_encoded_without_what_is_of_one_request() {
        let decoded = Answer::decode(&answer().encode().unwrap()).unwrap();
        let response = decoded.respond(&HeaderMap::new(), Timestamp::from_millis(13_999));
        let headers = response.headers();
        assert_eq!(headers["x-note"].as_bytes(), b"caf\xe9");
        assert_eq!(headers.get_all("link").iter().count(), 2);
        assert_eq!((&headers["age"], &headers["content-length"]), (&HeaderValue::from(8), &HeaderValue::from(5)));
        assert!(!headers.contains_key("x-correlation-id") && headers.contains_key("etag"));
        assert_eq!(decoded.seconds_left(Timestamp::from_millis(80_000)), -10);
        for damaged in [&b""[..], b"\0\0", b"\0\0\0\x09{}", b"\xff\xff\xff\xff{}", b"\0\0\0\x02{}hello"] {
            assert!(Answer::decode(&Bytes::copy_from_slice(damaged)).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn whoever_has_it_is_told_so() {
        let answer = answer();
        let now = Timestamp::from_millis(10_000);
        let tag = answer.headers[header::ETAG].to_str().unwrap().to_owned();
        let asked = |value: &str| {
            let headers = [(header::IF_NONE_MATCH, value.parse().unwrap())].into_iter().collect();
            answer.respond(&headers, now).status()
        };
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert_eq!(asked(&known), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(asked("\"x\""), StatusCode::OK);
    }
}
