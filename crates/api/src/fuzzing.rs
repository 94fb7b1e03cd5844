//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use trackside_core::{QueueName, Timestamp, fuzzing::Target};

use crate::{
    ApiKeyId, ApiKeyRecord, ApiKeySecret, WebhookScheme, WebhookSource,
    access::present,
    extract::{parse, unquoted},
    routes::user_sessions::Place,
    sse::Resume,
    webhooks::Delivery,
};

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("api_body", body),
    ("api_credentials", credentials),
    ("api_cursors", cursors),
    ("api_key", key),
    ("api_key_record", key_record),
    ("api_webhook", webhook),
];

/// A key has one spelling.
fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(secret) = text.parse::<ApiKeySecret>() {
        assert_eq!(secret.expose(), text);
    }
    if let Ok(id) = text.parse::<ApiKeyId>() {
        assert_eq!(id.to_string(), text);
    }
}

/// A line of the file of keys.
fn key_record(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<ApiKeyRecord>(bytes) {
        let _key = crate::ApiKey::try_from(record);
    }
}

/// Lines: `X-API-Key`, `Authorization`, `Cookie`.
fn credentials(bytes: &[u8]) {
    let names = [HeaderName::from_static("x-api-key"), header::AUTHORIZATION, header::COOKIE];
    if let Some(shown) = present(&lines(bytes, names)) {
        assert!(String::from_utf8_lossy(bytes).contains(shown), "{shown}");
    }
}

/// `Idempotency-Key`, `Last-Event-ID` and the cursor of a list.
fn cursors(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(key) = unquoted(text) {
        assert!(key.len() <= text.len());
    }
    if let Ok(Resume(Some(id))) = Resume::after(Some(text)) {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(place) = Place::parse(text) {
        assert!(Place::parse(&place.to_string()).is_ok_and(|again| again == place), "{place:?}");
    }
}

fn body(bytes: &[u8]) {
    if let Err(problem) = parse::<Value>(bytes) {
        let _shown = format!("{problem:?}");
    }
}

/// Lines: the signature, the delivery, the event; then the body. Nobody signs by chance.
fn webhook(bytes: &[u8]) {
    let Ok(queue) = "fuzzed".parse::<QueueName>() else { return };
    let body = bytes.splitn(4, |byte| *byte == b'\n').nth(3).unwrap_or_default();
    for (scheme, signature) in [
        (WebhookScheme::GitHub, "x-hub-signature-256"),
        (WebhookScheme::Stripe, "stripe-signature"),
        (WebhookScheme::Generic, "x-trackside-signature"),
    ] {
        let names = [signature, "x-trackside-delivery", "x-trackside-event"].map(HeaderName::from_static);
        let source = WebhookSource::new(scheme, vec!["a secret".into()], queue.clone());
        let headers = lines(bytes, names);
        assert!(Delivery::verify(&source, &headers, body, Timestamp::from_millis(0)).is_err(), "{scheme:?}");
    }
}

fn lines<const N: usize>(bytes: &[u8], names: [HeaderName; N]) -> HeaderMap {
    let values = bytes.split(|byte| *byte == b'\n').map(HeaderValue::from_bytes);
    names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value.ok()?))).collect()
}
