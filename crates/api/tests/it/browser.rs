//! A visitor's browser cannot be used against a service on loopback.

use serde_json::json;
use trackside_api::AllowedHosts;

use crate::service::{Service, problem};

#[tokio::test]
async fn a_foreign_host_name_is_refused_for_reading_too() {
    let service = Service::start().await;
    let response = service.get("/health").header("host", "evil.example:8080").send().await.unwrap();
    problem(response, 403, "host-not-allowed").await;
    let response = service.get("/health").header("host", "localhost:8080").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn any_host_name_is_allowed_where_the_service_asks_for_credentials() {
    let service = Service::configured(|config| config.allowed_hosts = AllowedHosts::Any).await;
    let response = service.get("/health").header("host", "queue.example").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn another_site_cannot_change_anything() {
    let service = Service::start().await;
    let task = json!({"kind": "k", "payload": 1});
    let post = || service.post("/v1/queues/q/tasks").json(&task);
    let response = post().header("sec-fetch-site", "cross-site").send().await.unwrap();
    problem(response, 403, "cross-site-request").await;
    let response = post().header("origin", "https://evil.example").send().await.unwrap();
    problem(response, 403, "cross-site-request").await;
    let response = service.request("DELETE", "/v1/brake").header("origin", "null").send().await.unwrap();
    problem(response, 403, "cross-site-request").await;
    let socket = service.get("/api/jobs/ws").header("upgrade", "websocket").header("connection", "upgrade");
    let response = socket.header("origin", "https://evil.example").send().await.unwrap();
    problem(response, 403, "cross-site-request").await;
    assert_eq!(service.read("/v1/queues").await["queues"], json!([]));
}

#[tokio::test]
async fn the_services_own_pages_and_allowed_origins_can() {
    let console = "https://console.example";
    let service = Service::configured(|config| config.allowed_origins = vec![console.to_owned()]).await;
    let task = json!({"kind": "k", "payload": 1});
    for origin in [service.url.as_str(), console] {
        let response = service.post("/v1/queues/q/tasks").header("origin", origin).json(&task).send().await.unwrap();
        assert_eq!(response.status(), 202, "{origin}");
    }
}
