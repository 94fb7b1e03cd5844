//! Who may send webhooks, how they sign, and where what they send goes.

mod delivery;
mod signature;

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;
use secrecy::SecretString;
use trackside_core::QueueName;
use trackside_queue::Priority;

pub(crate) use self::delivery::{Delivery, Refusal};

/// The sources of `/webhooks/{source}`, by name.
///
/// ```
/// use trackside_api::{WebhookScheme, WebhookSource, WebhookSources};
/// let github = WebhookSource::new(WebhookScheme::GitHub, vec!["a secret".into()], "enhancement".parse()?);
/// let sources = WebhookSources::from([("github".to_owned(), github)]);
/// assert!(!format!("{sources:?}").contains("a secret"));
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebhookSources(BTreeMap<String, WebhookSource>);

/// One sender of webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSource {
    /// How it signs.
    pub scheme: WebhookScheme,
    /// What it signs with; any of them will do, so that a secret can be changed while deliveries are on their way.
    pub secrets: Vec<SecretString>,
    /// Where its deliveries go.
    pub queue: QueueName,
    /// The kind of the tasks; `webhook.<source>` when `None`.
    pub kind: Option<String>,
    /// The level of the tasks.
    pub priority: Priority,
    /// How far the time of a signature may be from now, where signatures have a time.
    pub tolerance: Duration,
    /// The longest body, in bytes.
    pub max_body_bytes: usize,
    /// The header with the id of a delivery, instead of the scheme's.
    pub delivery_header: Option<HeaderName>,
    /// The header with the signature, instead of the scheme's.
    pub signature_header: Option<HeaderName>,
    /// Further headers that are kept with the task.
    pub keep_headers: Vec<HeaderName>,
}

/// How a sender signs: HMAC with SHA-256, over different texts and in different headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookScheme {
    /// `X-Hub-Signature-256: sha256=<hex>` over the body; the delivery is `X-GitHub-Delivery`, the event
    /// `X-GitHub-Event`.
    GitHub,
    /// `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]` over `<t>.<body>`; the delivery is the event's `id`, the event its
    /// `type`.
    Stripe,
    /// `X-Trackside-Signature: t=<seconds>,v1=<hex>[,v1=…]` over `<t>.<delivery>.<body>`; the delivery is
    /// `X-Trackside-Delivery`, the event `X-Trackside-Event`.
    Generic,
}

/// The longest body, unless a source says otherwise.
const DEFAULT_MAX_BODY_BYTES: usize = 256 * 1024;
/// The tolerance, unless a source says otherwise: what Stripe advises.
const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

// === impl WebhookSources ===

impl WebhookSources {
    pub(crate) fn get(&self, name: &str) -> Option<&WebhookSource> {
        self.0.get(name)
    }
}

impl<const N: usize> From<[(String, WebhookSource); N]> for WebhookSources {
    fn from(sources: [(String, WebhookSource); N]) -> Self {
        Self(sources.into())
    }
}

impl FromIterator<(String, WebhookSource)> for WebhookSources {
    fn from_iter<I: IntoIterator<Item = (String, WebhookSource)>>(sources: I) -> Self {
        Self(sources.into_iter().collect())
    }
}

// === impl WebhookSource ===

impl WebhookSource {
    /// A source with the scheme's own headers and default limits.
    #[must_use]
    pub fn new(scheme: WebhookScheme, secrets: Vec<SecretString>, queue: QueueName) -> Self {
        Self {
            scheme,
            secrets,
            queue,
            kind: None,
            priority: Priority::Normal,
            tolerance: DEFAULT_TOLERANCE,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
            delivery_header: None,
            signature_header: None,
            keep_headers: Vec::new(),
        }
    }
}
