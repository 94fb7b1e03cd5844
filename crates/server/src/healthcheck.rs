//! `trackside healthcheck`: one GET, for containers that have no curl.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::timeout;

use crate::{
    cli::{HealthcheckArgs, Probe},
    outgoing,
};

/// The longest the check takes.
const DEADLINE: Duration = Duration::from_secs(3);

/// Asks the probe; an error when the answer is not 200.
pub(crate) async fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let base = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", std::env::var("TRACKSIDE_LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into())),
    };
    let path = match args.probe {
        Probe::Live => "/health/live",
        Probe::Ready => "/health/ready",
    };
    let url = format!("{base}{path}");
    let status =
        timeout(DEADLINE, get(&url)).await.with_context(|| format!("no answer from {url} within {DEADLINE:?}"))??;
    if status != StatusCode::OK {
        bail!("{url} answered {status}");
    }
    Ok(())
}

/// The status of a GET.
async fn get(url: &str) -> anyhow::Result<StatusCode> {
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let uri = uri.context("--url must begin with http:// or https://")?;
    let client = outgoing::client(outgoing::authorities(&uri)?, 0)?;
    let request = Request::get(uri).body(Full::<Bytes>::default()).context("the request")?;
    let answer = client.request(request).await.with_context(|| format!("cannot connect to {url}"))?;
    Ok(answer.status())
}
