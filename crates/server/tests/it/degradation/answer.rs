//! What came back, and whether it may be so.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::table::Says;

/// No answer takes longer, however Redis is. A command is given up after half a second; the rest is for machines that are busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// An answer, or the beginning of a stream.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
    /// The name of the first event of a stream or a socket.
    event: Option<String>,
}

// === impl Answer ===

impl Answer {
    /// Sends the request. Of a stream, the first event is waited for.
    pub(crate) async fn to(request: RequestBuilder) -> anyhow::Result<Self> {
        timeout(DEADLINE, Self::read(request)).await.context("no answer in time")?
    }

    async fn read(request: RequestBuilder) -> anyhow::Result<Self> {
        let mut response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream = headers.get("content-type").is_some_and(|it| it == "text/event-stream");
        let (text, event) = match status {
            101 => first_frame(response).await?,
            _ if is_stream => first_event(&mut response).await?,
            _ => (response.text().await?, None),
        };
        Ok(Self { status, headers, text, event })
    }

    /// The body, when it is JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Whether it says that nobody knows what became of the request.
    pub(crate) fn is_unsure(&self) -> bool {
        self.json()["detail"].as_str().is_some_and(|detail| detail.contains("unknown"))
    }

    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Whether it is what the row says.
    pub(crate) fn check(&self, says: Says) -> anyhow::Result<()> {
        if says == Says::Refused {
            let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
            ensure!(code.starts_with("store-"), "{code} is no problem of the store");
            ensure!(self.headers.contains_key("retry-after"), "when to come back is not said");
            ensure!(!self.headers.contains_key("set-cookie"), "the cookie is touched");
        }
        if let Some(event) = &self.event {
            let wanted = if says == Says::Degraded { "degraded" } else { "snapshot" };
            ensure!(event == wanted, "it begins with {event} instead of {wanted}");
        }
        Ok(())
    }

    /// Whether it keeps what every answer must keep.
    pub(crate) fn check_manners(&self, operation: &Value, secrets: &[String]) -> anyhow::Result<()> {
        ensure!(self.headers.contains_key("x-correlation-id"), "no correlation id");
        let documented = operation["responses"].get(self.status.to_string()).is_some();
        let is_problem = self.headers.get("content-type").is_some_and(|it| it == "application/problem+json");
        ensure!(documented || is_problem, "{} is not documented", self.status);
        if is_problem {
            let problem = self.json();
            ensure!(problem["status"] == self.status, "a problem of another status");
            for member in ["type", "title", "code", "correlation_id"] {
                ensure!(problem[member].is_string(), "a problem without {member}");
            }
        }
        // The measurements are by server, whose address is no secret to those who may see them.
        let is_metrics = operation["operationId"] == "get_metrics";
        for secret in secrets.iter().filter(|secret| !(is_metrics && secret.starts_with("127."))) {
            ensure!(!self.text.contains(secret), "it tells {secret}");
            let told = self.headers.values().any(|value| value.to_str().is_ok_and(|it| it.contains(secret)));
            ensure!(!told, "a header tells {secret}");
        }
        Ok(())
    }

    /// For the message of a failed test.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.text.chars().take(200).collect::<String>())
    }
}

/// What a stream says until its first event is whole.
async fn first_event(response: &mut Response) -> anyhow::Result<(String, Option<String>)> {
    let mut text = String::new();
    loop {
        let chunk = response.chunk().await?.context("the stream ended before its first event")?;
        text.push_str(std::str::from_utf8(&chunk)?);
        let event = text.split("\n\n").find_map(|event| event.lines().find_map(|line| line.strip_prefix("event: ")));
        if let (Some(event), true) = (event, text.ends_with("\n\n")) {
            return Ok((text.clone(), Some(event.to_owned())));
        }
    }
}

/// The first text of a socket (RFC 6455 §5.2; a server's frames are not masked).
async fn first_frame(response: Response) -> anyhow::Result<(String, Option<String>)> {
    const TEXT: u8 = 0x1;
    let mut socket = response.upgrade().await?;
    loop {
        let opcode = socket.read_u8().await? & 0x0f;
        let length = match socket.read_u8().await? {
            126 => u64::from(socket.read_u16().await?),
            127 => socket.read_u64().await?,
            short => u64::from(short),
        };
        let mut frame = vec![0; usize::try_from(length)?];
        socket.read_exact(&mut frame).await?;
        if opcode == TEXT {
            let message: Value = serde_json::from_slice(&frame)?;
            return Ok((String::from_utf8(frame)?, message["event"].as_str().map(str::to_owned)));
        }
    }
}
