//! Health, metrics and the page at the root.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use trackside_api::{RedisView, StoreInfo, StoreKind};
use trackside_core::{ComponentHealth, HealthCheck};

use crate::service::{Service, body, setup};

/// A Redis whose connection a test makes and breaks.
#[derive(Default)]
struct SwitchedRedis {
    connected: AtomicBool,
}

#[async_trait]
impl RedisView for SwitchedRedis {
    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    fn breaker(&self) -> String {
        if self.is_connected() { "closed".to_owned() } else { "open".to_owned() }
    }

    async fn info(&self) -> Result<Value, String> {
        if self.is_connected() { Ok(json!({"version": "7.0.15"})) } else { Err("not connected".to_owned()) }
    }
}

#[async_trait]
impl HealthCheck for SwitchedRedis {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> ComponentHealth {
        if self.is_connected() { ComponentHealth::ok() } else { ComponentHealth::down("connection refused") }
    }
}

#[tokio::test]
async fn the_embedded_default_is_healthy_and_says_that_nothing_survives() {
    let service = Service::start().await;
    let health = service.read("/health").await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["store"], "memory");
    assert_eq!(health["durable"], false);
    assert_eq!(health["redis"], "not_configured");
    assert_eq!(service.read("/health/live").await, json!({"status": "ok"}));
    assert_eq!(service.read("/health/ready").await, json!({"ready": true, "redis": "not_configured"}));
    let page = service.get("/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.text().await.unwrap();
    for link in ["/docs", "/health", "/metrics", "nothing survives a restart"] {
        assert!(page.contains(link), "{link}");
    }
}

#[tokio::test]
async fn redis_away_degrades_the_summary_and_turns_readiness_but_not_liveness() {
    let redis = Arc::new(SwitchedRedis::default());
    let mut setup = setup().await;
    setup.state.store = StoreInfo { kind: StoreKind::Redis, durable: true };
    setup.state.redis = Some(Arc::clone(&redis) as Arc<dyn RedisView>);
    setup.state.health = Arc::new([Arc::clone(&redis) as Arc<dyn HealthCheck>]);
    let service = Service::with(setup).await;

    let health = service.read("/health").await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["redis"], "disconnected");
    assert_eq!(health["components"]["redis"], json!({"status": "down", "detail": "connection refused"}));
    let ready = body(service.get("/health/ready").send().await.unwrap(), 503).await;
    assert_eq!(ready["redis"], "disconnected");
    assert_eq!(service.read("/health/live").await["status"], "ok");
    let stats = service.read("/api/stats").await;
    assert_eq!(stats["redis"], json!({"connected": false, "breaker": "open", "info": null}));
    assert_eq!(stats["unavailable"]["redis"], "not connected");

    redis.connected.store(true, Ordering::SeqCst);
    assert_eq!(service.read("/health").await["status"], "ok");
    assert_eq!(service.read("/health/ready").await["redis"], "connected");
    assert_eq!(service.read("/api/stats").await["redis"]["info"]["version"], "7.0.15");
}

#[tokio::test]
async fn a_service_that_shuts_down_is_not_ready() {
    let service = Service::start().await;
    service.state.shutdown.cancel();
    let ready = body(service.get("/health/ready").send().await.unwrap(), 503).await;
    assert_eq!(ready["detail"], "shutting down");
    assert_eq!(body(service.get("/health").send().await.unwrap(), 503).await["status"], "down");
}

#[tokio::test]
async fn metrics_are_answered_in_the_format_of_prometheus() {
    let service = Service::start().await;
    let response = service.get("/metrics").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(response.text().await.unwrap().contains("trackside_up 1"));
}

#[tokio::test]
async fn a_scrape_asks_the_store_how_full_the_queues_are() {
    let service = Service::start().await;
    for _ in 0..3 {
        service.enqueue("exports", json!({"kind": "k", "payload": 1, "priority": "high"})).await;
    }
    service.enqueue("exports", json!({"kind": "k", "payload": 1, "delay_ms": 60_000})).await;
    service.lease("exports").await;
    let metrics = service.get("/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "# TYPE trackside_queue_ready gauge",
        "trackside_queue_ready{queue=\"exports\",priority=\"high\"} 2",
        "trackside_queue_ready{queue=\"exports\",priority=\"normal\"} 0",
        "trackside_queue_tasks{queue=\"exports\",state=\"active\"} 1",
        "trackside_queue_tasks{queue=\"exports\",state=\"delayed\"} 1",
        "trackside_queue_paused{queue=\"exports\"} 0",
        "trackside_queue_failures_total{queue=\"exports\",event=\"expired\"} 0",
    ] {
        assert!(metrics.lines().any(|given| given == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("trackside_queue_oldest_age_seconds{queue=\"exports\"} "), "{metrics}");
    let bytes = metrics.lines().find_map(|line| line.strip_prefix("trackside_queue_bytes{queue=\"exports\"} "));
    assert!(bytes.is_some_and(|bytes| bytes.parse::<u64>().unwrap() > 0), "{metrics}");
}
