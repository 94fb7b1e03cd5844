//! How the rows reach the service.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use trackside_testkit::eventually;

use crate::service::PATIENCE;

/// How the rows reach the service.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) url: String,
    /// An API key that may do everything.
    pub(crate) key: String,
    /// A job that has ended, and one that waits behind another.
    pub(crate) done_job: String,
    pub(crate) waiting_job: String,
}

// === impl Caller ===

impl Caller {
    pub(super) fn request(&self, method: &str, path: &str) -> anyhow::Result<RequestBuilder> {
        let request = self.http.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", self.url));
        Ok(request.header("x-api-key", &self.key))
    }

    /// The JSON that a request is answered with. On a busy machine the store may seem to be away for a moment: then the request is
    /// repeated.
    pub(crate) async fn did(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = format!("call-{}", CALLS.fetch_add(1, Ordering::Relaxed));
        let answered = || async {
            let mut request = self.request(method, path)?.header("idempotency-key", &call);
            if !body.is_null() {
                request = request.json(body);
            }
            let response = request.send().await?;
            let status = response.status();
            let text = response.text().await?;
            ensure!(status != 503, "{method} {path}: {status} {text}");
            anyhow::Ok((status, text))
        };
        let (status, text) = eventually(answered, PATIENCE).await;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Puts something into the cache, so that the store has it, and this process a copy.
    pub(super) async fn keeps(&self, path: &str, query: &str) {
        let kept = || async {
            let written = self.request("PUT", &format!("{path}{query}"))?.json(&json!({"a": 1})).send().await?;
            ensure!(matches!(written.status().as_u16(), 201 | 204), "{path}: {}", written.status());
            self.did("GET", path, &Value::Null).await
        };
        eventually(kept, PATIENCE).await;
    }

    /// A new task of a queue, and the fence of its lease.
    pub(super) async fn leased(&self, queue: &str) -> anyhow::Result<(String, u64)> {
        let (tasks, lease) = (format!("/v1/queues/{queue}/tasks"), format!("/v1/queues/{queue}/lease"));
        loop {
            self.did("POST", &tasks, &json!({"kind": "k", "payload": 1, "max_attempts": 1})).await?;
            let leased = self.did("POST", &lease, &json!({"worker_id": "w", "lease_ms": 60_000})).await?;
            // None when a lease was given whose answer was lost.
            if let (Some(id), Some(fence)) =
                (leased["tasks"][0]["task_id"].as_str(), leased["tasks"][0]["fence"].as_u64())
            {
                return Ok((id.to_owned(), fence));
            }
        }
    }
}
