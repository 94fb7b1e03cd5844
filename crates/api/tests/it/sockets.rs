//! Jobs and agents by WebSocket.

use reqwest::Upgraded;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::service::{Service, body, problem};

/// A frame as it stood on the wire.
#[derive(Debug, PartialEq)]
enum Frame {
    Text(Value),
    Close(u16),
}

async fn open(service: &Service, path: &str) -> Upgraded {
    let request = service
        .get(path)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    response.upgrade().await.unwrap()
}

/// The next text or close frame (RFC 6455 §5.2; a server's frames are not masked).
async fn next(socket: &mut Upgraded) -> Frame {
    loop {
        let (opcode, length) = (socket.read_u8().await.unwrap() & 0x0f, socket.read_u8().await.unwrap());
        let length = match length {
            126 => u64::from(socket.read_u16().await.unwrap()),
            127 => socket.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        socket.read_exact(&mut payload).await.unwrap();
        match opcode {
            0x1 => return Frame::Text(serde_json::from_slice(&payload).unwrap()),
            0x8 => return Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
            _ => {}
        }
    }
}

async fn run(service: &Service) -> String {
    let request = json!({"tool": "greet", "params": {"who": "you"}});
    let response = service.post("/api/run").json(&request).send().await.unwrap();
    body(response, 202).await["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn all_jobs_are_told_until_the_service_shuts_down() {
    let service = Service::start().await;
    let mut socket = open(&service, "/api/jobs/ws").await;
    assert_eq!(next(&mut socket).await, Frame::Text(json!({"event": "snapshot", "data": {"jobs": []}})));
    let id = run(&service).await;
    let Frame::Text(created) = next(&mut socket).await else { panic!("a text") };
    assert_eq!((&created["event"], &created["data"]["event"]), (&json!("state"), &json!("job_created")));
    assert_eq!(created["data"]["job_id"], id.as_str());
    service.state.shutdown.cancel();
    assert_eq!(next(&mut socket).await, Frame::Close(1001));
}

#[tokio::test]
async fn one_job_is_told_to_its_end() {
    let service = Service::start().await;
    let id = run(&service).await;
    service.request("DELETE", &format!("/api/jobs/{id}")).send().await.unwrap();
    let mut socket = open(&service, &format!("/api/jobs/ws?job_id={id}")).await;
    let mut events = Vec::new();
    while let Frame::Text(frame) = next(&mut socket).await {
        assert!(frame["id"].is_string(), "{frame}");
        events.push(frame["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(events, ["snapshot", "end"]);
}

#[tokio::test]
async fn an_agent_is_watched() {
    let service = Service::start().await;
    let mut socket = open(&service, "/v1/agents/user-42/ws").await;
    let mut next_of = async |wanted: &str| loop {
        let Frame::Text(frame) = next(&mut socket).await else { panic!("a text") };
        if frame["event"] == wanted {
            return frame["data"].clone();
        }
    };
    assert_eq!(next_of("snapshot").await["paused"], false);
    service.post("/v1/agents/user-42/pause").send().await.unwrap();
    assert_eq!(next_of("state").await["event"], "pause");
}

#[tokio::test]
async fn a_plain_request_is_told_what_is_missing() {
    let service = Service::start().await;
    let response = service.get("/api/jobs/ws").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.status().is_client_error());
    let response = service.get("/api/jobs/ws?job_id=x").send().await.unwrap();
    problem(response, 422, "invalid-request").await;
}
