//! `trackside queue repair`

use http::Method;
use serde_json::{Value, json};
use trackside_core::QueueName;

use super::{address, read, service::Service, show};
use crate::{failure::Failure, output::count};

/// Runs the command: all calls of a repair, added up.
pub(super) async fn run(service: &Service, queue: &QueueName, json: bool) -> Result<(), Failure> {
    let (path, mut body) = (address(queue, "/repair"), json!({}));
    let (mut looked_at, mut repaired) = (0, 0);
    loop {
        let answer: Value = read(&service.ask(Method::POST, &path, Some(body.to_string())).await?)?;
        looked_at += answer["looked_at"].as_u64().unwrap_or(0);
        repaired += answer["repaired"].as_u64().unwrap_or(0);
        match answer["next_cursor"].as_str() {
            Some(cursor) => body["cursor"] = cursor.into(),
            None => break,
        }
    }
    let text = json!({"looked_at": looked_at, "repaired": repaired}).to_string();
    show(json, &text, |_: &Value| Ok(format!("repaired {} of {queue}\n", count(repaired, "place"))))
}
