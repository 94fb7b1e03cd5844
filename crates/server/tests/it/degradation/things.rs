//! What the rows of the table are about: each has things of its own, so that all can be asked at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{caller::Caller, table::Row};

pub(crate) const WEBHOOK_SECRET: &str = "whsec-1";

/// The things of one row.
#[derive(Debug, Default)]
pub(crate) struct Things {
    number: usize,
    task: String,
    fence: u64,
    session: String,
    session_id: String,
    reservation: String,
}

// === impl Things ===

impl Things {
    /// Makes what the row's operation is about.
    pub(crate) async fn make(caller: &Caller, number: usize, row: &Row) -> anyhow::Result<Self> {
        let mut it = Self { number, ..Self::default() };
        let (method, path) = row.operation.split_once(' ').context("a method and a path")?;
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let queue = it.queue();
        if method == "POST" && path.starts_with("/v1/tasks") || path.contains("/dead") {
            (it.task, it.fence) = caller.leased(&queue).await?;
        } else if path.contains("{queue}") || path.starts_with("/v1/tasks") {
            let new = json!({"kind": "k", "payload": number});
            it.task = text(&caller.did("POST", &format!("/v1/queues/{queue}/tasks"), &new).await?, "task_id");
        }
        if path.contains("/dead") {
            let failed = json!({"fence": it.fence, "error": "e"});
            let failed = caller.did("POST", &format!("/v1/tasks/{}/fail", it.task), &failed).await?;
            ensure!(failed["status"] == "dead", "{failed}");
        }
        if path.contains("/sessions") {
            let issued = caller.did("POST", "/v1/sessions", &json!({"user_id": it.user()})).await?;
            (it.session, it.session_id) = (text(&issued, "token"), text(&issued, "session_id"));
        }
        if path.contains("/schedules/") {
            let schedule = json!({"queue": "later", "kind": "k", "payload": 1, "every_ms": 3_600_000});
            let path = format!("/v1/schedules/x{number}");
            caller.did("PUT", &path, &schedule).await?;
            if row.operation.ends_with("/resume") {
                caller.did("POST", &format!("{path}/pause"), &Value::Null).await?;
            }
        }
        if row.operation == "POST /v1/agents/{user_id}/resume" {
            caller.did("POST", &format!("/v1/agents/{}/pause", it.user()), &Value::Null).await?;
        }
        if path.starts_with("/v1/progress") {
            caller.did("PUT", &format!("/v1/progress/op{number}"), &Value::Null).await?;
        }
        if path.starts_with("/v1/cache/{namespace}") {
            caller.keeps(&format!("/v1/cache/page/key{number}"), &format!("?tags=tag{number}")).await;
        }
        if path.starts_with("/v1/projects") {
            for part in ["data".to_owned(), format!("entries/x{number}")] {
                caller.keeps(&format!("/v1/projects/p{number}/{part}"), "").await;
            }
        }
        if row.body.contains("<reservation>") {
            let wanted = json!({"policy": "places", "subject": {"user": it.user()}});
            it.reservation = text(&caller.did("POST", "/v1/limits/reserve", &wanted).await?, "reservation");
        }
        Ok(it)
    }

    pub(crate) fn user(&self) -> String {
        format!("user{}", self.number)
    }

    pub(crate) fn queue(&self) -> String {
        format!("q{}", self.number)
    }

    /// The row's request about them.
    pub(crate) fn request(&self, caller: &Caller, row: &Row) -> anyhow::Result<RequestBuilder> {
        let method = row.operation.split(' ').next().context("a method")?;
        let path = self.path(caller, row.operation);
        let mut request = caller.request(method, &path)?;
        if path.ends_with("/ws") {
            request = request
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        }
        if path.starts_with("/v1/sessions/current") {
            request = request.header("cookie", format!("__Host-session={}", self.session));
        }
        let body = self.body(caller, row.body);
        if path.starts_with("/webhooks/") {
            static DELIVERIES: AtomicUsize = AtomicUsize::new(0);
            let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes())?;
            mac.update(body.as_bytes());
            let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
            request = request
                .header("x-github-event", "issues")
                .header("x-github-delivery", format!("d{}", DELIVERIES.fetch_add(1, Ordering::Relaxed)))
                .header("x-hub-signature-256", format!("sha256={signature}"));
        }
        if body.is_empty() {
            return Ok(request);
        }
        let form = "application/x-www-form-urlencoded";
        let content_type = if path == "/login" { form } else { "application/json" };
        Ok(request.header("content-type", content_type).body(body))
    }

    /// Where the operation finds them.
    pub(crate) fn path(&self, caller: &Caller, operation: &str) -> String {
        let number = self.number;
        let path = operation.split_once(' ').map_or(operation, |(_, path)| path);
        let id = match path {
            _ if operation == "DELETE /api/jobs/{id}" => caller.waiting_job.clone(),
            _ if path.starts_with("/api/jobs") => caller.done_job.clone(),
            _ if path.starts_with("/v1/progress") => format!("op{number}"),
            _ => self.task.clone(),
        };
        let name = if path.contains("/outputs/") { "count.txt".to_owned() } else { format!("x{number}") };
        let names = [
            ("{id}", id),
            ("{queue}", self.queue()),
            ("{user_id}", self.user()),
            ("{session_id}", self.session_id.clone()),
            ("{project_id}", format!("p{number}")),
            ("{name}", name),
            ("{namespace}", "page".to_owned()),
            ("{key}", format!("key{number}")),
            ("{tag}", format!("tag{number}")),
            ("{slug}", "store-unavailable".to_owned()),
            ("{source}", "github".to_owned()),
        ];
        names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    fn body(&self, caller: &Caller, body: &str) -> String {
        let names = [
            ("<task>", self.task.clone()),
            ("<fence>", self.fence.to_string()),
            ("<queue>", self.queue()),
            ("<user>", self.user()),
            ("<reservation>", self.reservation.clone()),
            ("<key>", caller.key.clone()),
        ];
        names.iter().fold(body.to_owned(), |body, (name, value)| body.replace(name, value))
    }
}
