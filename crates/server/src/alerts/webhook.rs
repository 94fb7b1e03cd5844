//! Alerts as signed requests to a URL.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use rustls::RootCertStore;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;
use trackside_core::Timestamp;

use super::Sink;
use crate::{
    config::Monitor,
    outgoing::{self, Client},
};

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pauses between attempts. With them all attempts take less time than passes until the change is told again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Posts each change of an alert as JSON, signed as the generic scheme of `/webhooks/<source>` takes it. The delivery is
/// the name of the change, the same however often it is told.
pub(super) struct Webhook {
    client: Client,
    uri: Uri,
    secret: SecretString,
    patience: Duration,
    pauses: [Duration; 2],
}

/// Why an attempt failed.
struct Failed {
    /// In words for the log, without the URL.
    reason: String,
    /// Whether another attempt may do better.
    is_passing: bool,
}

// === impl Webhook ===

impl Webhook {
    /// The webhook of the settings, when they name a URL.
    pub(super) fn configured(config: &Monitor) -> anyhow::Result<Option<Self>> {
        let Some(uri) = Self::uri(config)? else { return Ok(None) };
        let roots = outgoing::authorities(&uri).context("monitor.webhook_url")?;
        Ok(Some(Self::new(uri, config.webhook_secret.clone(), roots)?))
    }

    /// The URL of the settings. Errors do not repeat it: it may carry a token.
    pub(super) fn uri(config: &Monitor) -> anyhow::Result<Option<Uri>> {
        let text = config.webhook_url.expose_secret();
        if text.is_empty() {
            return Ok(None);
        }
        let url: url::Url = text.parse().context("monitor.webhook_url is no URL")?;
        ensure!(matches!(url.scheme(), "http" | "https"), "monitor.webhook_url must begin with http:// or https://");
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        ensure!(!has_credentials, "monitor.webhook_url must have no user and password; requests are signed instead");
        Ok(Some(url.as_str().parse().context("monitor.webhook_url is no URL")?))
    }

    fn new(uri: Uri, secret: SecretString, roots: RootCertStore) -> anyhow::Result<Self> {
        // Alerts are rare: a connection is not kept for the next one.
        let client = outgoing::client(roots, 0).context("monitor.webhook_url")?;
        Ok(Self { client, uri, secret, patience: PATIENCE, pauses: PAUSES })
    }

    /// One attempt. A redirect is not followed: the signature is for nobody else.
    async fn post(&self, delivery: &str, body: &str) -> Result<(), Failed> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("trackside/", env!("CARGO_PKG_VERSION")))
            .header("x-trackside-delivery", delivery)
            .header("x-trackside-event", "alert");
        if let Some(signature) = signature(&self.secret, Timestamp::now(), delivery, body) {
            request = request.header("x-trackside-signature", signature);
        }
        let request = request.body(Full::from(body.to_owned())).map_err(|error| Failed::passing(&error))?;
        let answer = tokio::time::timeout(self.patience, self.client.request(request));
        let answer = answer.await.map_err(|elapsed| Failed::passing(&elapsed))?;
        let status = answer.map_err(|error| Failed::passing(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(Failed::answered(status)) }
    }
}

#[async_trait]
impl Sink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, id: &str, alert: Value) -> Result<(), String> {
        let (body, mut pauses) = (alert.to_string(), self.pauses.iter());
        loop {
            let Err(failed) = self.post(id, &body).await else { return Ok(()) };
            match pauses.next() {
                Some(pause) if failed.is_passing => tokio::time::sleep(*pause).await,
                _ => return Err(failed.reason),
            }
        }
    }
}

/// `t=<seconds>,v1=<hex>` over `<seconds>.<delivery>.<body>`; none without a secret.
fn signature(secret: &SecretString, at: Timestamp, delivery: &str, body: &str) -> Option<String> {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return None;
    }
    let seconds = at.as_millis() / 1_000;
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{seconds}.{delivery}.{body}").as_bytes());
    Some(format!("t={seconds},v1={}", HEXLOWER.encode(&mac.finalize().into_bytes())))
}

// === impl Failed ===

impl Failed {
    /// The error with its causes. Those of a connection name addresses and certificates at most, never a path.
    fn passing(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        Self { reason, is_passing: true }
    }

    fn answered(status: StatusCode) -> Self {
        let is_passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY);
        Self { reason: format!("the receiver answered {}", status.as_u16()), is_passing }
    }
}

#[cfg(test)]
mod tests;
