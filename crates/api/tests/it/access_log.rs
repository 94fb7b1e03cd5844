//! One line per request, with what an operator needs and nothing that is secret.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::service::Service;

/// Log lines in memory.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The access lines of one request.
    fn of(&self, correlation: &str) -> Vec<Value> {
        let lines: Vec<Value> = self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let is_it = |line: &Value| {
            line["fields"]["message"] == "request answered" && line["span"]["correlation.id"] == correlation
        };
        lines.into_iter().filter(is_it).collect()
    }
}

#[tokio::test]
async fn a_request_is_logged_once_without_query_and_payload() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(log.clone());
    // For the whole process: one that holds for a thread misses what other threads were the first to log.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let service = Service::start().await;
    let request =
        service.post("/v1/queues/exports/tasks?token=query-secret").header("x-correlation-id", "access-log-1");
    let request = request.header("authorization", "Bearer header-secret");
    request.json(&json!({"kind": "k", "payload": {"password": "payload-secret"}})).send().await.unwrap();

    let lines = log.of("access-log-1");
    assert_eq!(lines.len(), 1, "{}", log.text());
    let (fields, span) = (&lines[0]["fields"], &lines[0]["span"]);
    assert_eq!(fields["http.request.method"], "POST");
    assert_eq!(fields["url.path"], "/v1/queues/exports/tasks");
    assert_eq!(fields["http.response.status_code"], 202);
    assert!(fields["duration_ms"].is_f64());
    assert_eq!(span["http.route"], "/v1/queues/{queue}/tasks");
    let text = log.text();
    // The client of this test runs in the same process and may log what it sends.
    let ours: Vec<&str> = text.lines().filter(|line| line.contains(r#""target":"trackside_"#)).collect();
    assert!(!ours.is_empty());
    for secret in ["query-secret", "header-secret", "payload-secret"] {
        assert!(ours.iter().all(|line| !line.contains(secret)), "{secret}");
    }
}
