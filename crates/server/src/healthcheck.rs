//! `trackside healthcheck`: one GET, for containers that have no curl.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::cli::{HealthcheckArgs, Probe};

/// The longest the check takes.
const DEADLINE: Duration = Duration::from_secs(3);

/// Asks the probe; an error when the answer is not 200.
pub(crate) async fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let authority = match &args.url {
        Some(url) => {
            url.strip_prefix("http://").context("--url must begin with http://")?.trim_end_matches('/').to_owned()
        }
        None => std::env::var("TRACKSIDE_LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into()),
    };
    let path = match args.probe {
        Probe::Live => "/health/live",
        Probe::Ready => "/health/ready",
    };
    let status = timeout(DEADLINE, get(&authority, path))
        .await
        .with_context(|| format!("no answer from http://{authority}{path} within {DEADLINE:?}"))??;
    if status != "200" {
        bail!("http://{authority}{path} answered {status}");
    }
    Ok(())
}

/// The status code of a GET.
async fn get(authority: &str, path: &str) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect(authority).await.with_context(|| format!("cannot connect to http://{authority}"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // "HTTP/1.1 200": the status line's first twelve bytes are all that is needed.
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).await.context("the answer is not HTTP")?;
    Ok(String::from_utf8_lossy(&head[9..]).into_owned())
}
