//! Reads a server-sent event stream as a browser does.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// The id it carried itself; an event without one does not move the client's last id.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: reqwest::Response,
    buffer: String,
}

// === impl EventStream ===

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> anyhow::Result<Self> {
        anyhow::ensure!(response.status() == 200, "the stream answered {}", response.status());
        Ok(Self { response, buffer: String::new() })
    }

    /// The next event, or `None` when the server closed the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&block)? {
                    return Ok(Some(event));
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk());
            match chunk.await.context("the stream is silent")?? {
                Some(chunk) => self.buffer.push_str(std::str::from_utf8(&chunk)?),
                None => return Ok(None),
            }
        }
    }

    /// Every event up to the one named `end`, or to the close of the stream.
    pub(crate) async fn rest(&mut self) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            let end = event.name == "end";
            events.push(event);
            if end {
                break;
            }
        }
        Ok(events)
    }
}

/// The event of a block, or `None` for comments and `retry:`.
fn parse(block: &str) -> anyhow::Result<Option<Event>> {
    let (mut id, mut name, mut data) = (None, "message".to_owned(), Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => id = Some(value.to_owned()),
            "event" => value.clone_into(&mut name),
            "data" => data.push(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    Ok(Some(Event { id, name, data: serde_json::from_str(&data.join("\n"))? }))
}
