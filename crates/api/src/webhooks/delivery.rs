//! One delivery: verified, and told apart from others.

use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trackside_core::Timestamp;

use super::{
    WebhookScheme, WebhookSource,
    signature::{Timed, is_genuine, of_github},
};

static GITHUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
static GITHUB_DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");
static GITHUB_EVENT: HeaderName = HeaderName::from_static("x-github-event");
static STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
static GENERIC_SIGNATURE: HeaderName = HeaderName::from_static("x-trackside-signature");
static GENERIC_DELIVERY: HeaderName = HeaderName::from_static("x-trackside-delivery");
static GENERIC_EVENT: HeaderName = HeaderName::from_static("x-trackside-event");
/// The longest id of a delivery, in bytes.
const MAX_ID: usize = 255;

/// A delivery whose sender is known.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// What the sender calls it; the same when it is sent again.
    pub(crate) id: String,
    /// What it is about, in the sender's word.
    pub(crate) event: Option<String>,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a RawValue,
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody who knows a secret has sent it, or too long ago.
    Signature(&'static str),
    /// It is genuine, and not what it should be.
    Malformed(&'static str),
}

/// What of a Stripe event is looked at.
#[derive(Debug, Deserialize)]
struct StripeEvent {
    id: String,
    #[serde(rename = "type")]
    event: Option<String>,
}

/// The payload of the task.
#[derive(Debug, Serialize)]
struct Payload<'a> {
    source: &'a str,
    delivery: &'a str,
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    headers: serde_json::Map<String, serde_json::Value>,
    body: &'a RawValue,
}

// === impl Delivery ===

impl<'a> Delivery<'a> {
    /// Verifies a request before anything in it is looked at.
    pub(crate) fn verify(
        source: &'a WebhookSource,
        headers: &'a HeaderMap,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        check_signature(source, headers, body, now)?;
        let body: &RawValue = serde_json::from_slice(body).map_err(|_| Refusal::Malformed("the body is not JSON"))?;
        let (id, event) = match source.scheme {
            WebhookScheme::GitHub => (text(headers, delivery_header(source)), text(headers, &GITHUB_EVENT)),
            WebhookScheme::Generic => (text(headers, delivery_header(source)), text(headers, &GENERIC_EVENT)),
            WebhookScheme::Stripe => {
                let event: StripeEvent = serde_json::from_str(body.get())
                    .map_err(|_| Refusal::Malformed("the body is no event: it has no text `id`"))?;
                return Self::of(source, headers, body, Some(event.id), event.event);
            }
        };
        Self::of(source, headers, body, id.map(str::to_owned), event.map(str::to_owned))
    }

    fn of(
        source: &'a WebhookSource,
        headers: &'a HeaderMap,
        body: &'a RawValue,
        id: Option<String>,
        event: Option<String>,
    ) -> Result<Self, Refusal> {
        let is_id = |id: &String| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let id = id.filter(is_id).ok_or(Refusal::Malformed(
            "the id of the delivery is missing, or is not 1 to 255 printable characters without spaces",
        ))?;
        let kept = source.keep_headers.iter().filter_map(|name| Some((name.as_str(), text(headers, name)?)));
        Ok(Self { id, event, headers: kept.collect(), body })
    }

    /// The JSON text that a worker is handed. The same for the same delivery.
    pub(crate) fn payload(&self, source: &str) -> serde_json::Result<String> {
        let headers = self.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let (delivery, event) = (self.id.as_str(), self.event.as_deref());
        serde_json::to_string(&Payload { source, delivery, event, headers, body: self.body })
    }
}

fn check_signature(source: &WebhookSource, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let header = source.signature_header.as_ref().unwrap_or(match source.scheme {
        WebhookScheme::GitHub => &GITHUB_SIGNATURE,
        WebhookScheme::Stripe => &STRIPE_SIGNATURE,
        WebhookScheme::Generic => &GENERIC_SIGNATURE,
    });
    let given = text(headers, header).ok_or(Refusal::Signature("the header with the signature is missing"))?;
    let unreadable = Refusal::Signature("the header with the signature cannot be read");
    let wrong = Refusal::Signature("the signature is wrong");
    if source.scheme == WebhookScheme::GitHub {
        let signature = of_github(given).ok_or(unreadable)?;
        return if is_genuine(&source.secrets, &[body], &[signature]) { Ok(()) } else { Err(wrong) };
    }
    let timed = Timed::parse(given).ok_or(unreadable)?;
    let delivery = text(headers, delivery_header(source)).unwrap_or_default();
    let parts: &[&[u8]] = match source.scheme {
        WebhookScheme::Generic => &[timed.seconds.as_bytes(), b".", delivery.as_bytes(), b".", body],
        _ => &[timed.seconds.as_bytes(), b".", body],
    };
    if !is_genuine(&source.secrets, parts, timed.signatures()) {
        return Err(wrong);
    }
    // Said only to who knows the secret.
    if timed.is_fresh(now, source.tolerance) {
        Ok(())
    } else {
        Err(Refusal::Signature("the signature was made too long ago, or its clock is wrong"))
    }
}

fn delivery_header(source: &WebhookSource) -> &HeaderName {
    source.delivery_header.as_ref().unwrap_or(match source.scheme {
        WebhookScheme::GitHub => &GITHUB_DELIVERY,
        WebhookScheme::Stripe | WebhookScheme::Generic => &GENERIC_DELIVERY,
    })
}

/// The only value of a header.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}
