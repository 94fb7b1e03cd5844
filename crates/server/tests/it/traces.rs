//! One trace: the request, the task and the run of the tool are spans of it.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use trackside_testkit::eventually;

use crate::service::{Home, PATIENCE, Service};

/// What a collector was sent, as it came over the wire.
type Received = Arc<Mutex<Vec<u8>>>;

async fn collect(mut stream: TcpStream, received: Received) {
    let mut chunk = vec![0; 64 * 1024];
    let mut request = Vec::new();
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if request.len() >= end + 4 + length.unwrap_or(0) {
            if let Ok(mut received) = received.lock() {
                received.append(&mut request);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok();
        }
    }
}

/// The trace of the span with this name: in a span's protobuf message, the field 1 of 16 bytes before the field 5.
fn trace_of(received: &[u8], name: &str) -> Option<Vec<u8>> {
    let field: Vec<u8> = [&[0x2a, u8::try_from(name.len()).ok()?], name.as_bytes()].concat();
    let at = received.windows(field.len()).position(|bytes| bytes == field)?;
    let start = received[..at].windows(2).rposition(|bytes| bytes == [0x0a, 16])? + 2;
    received.get(start..start + 16).map(<[u8]>::to_vec)
}

#[tokio::test]
async fn a_request_its_task_and_its_tool_are_one_trace() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let collector = format!("http://{}", listener.local_addr()?);
    let received = Received::default();
    let spans = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(collect(stream, Arc::clone(&spans)));
        }
    });
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector)]).await?;
    let id = service.run(json!({"tool": "count", "params": {"steps": 1}})).await?;
    eventually(|| async { service.job_status(&id).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    // The last spans are sent before the program ends.
    let (_, log) = service.terminate().await?;
    let received = received.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    let request = trace_of(&received, "POST /api/run").with_context(|| format!("no span of the request\n{log}"))?;
    assert_eq!(trace_of(&received, "task.process"), Some(request.clone()), "the task");
    assert_eq!(trace_of(&received, "job.run"), Some(request), "the run");
    Ok(())
}
