//! What is measured is what happened.

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use trackside_redis::{Command, Config};
use trackside_testkit::{RedisServer, eventually};

use crate::support::{PATIENCE, connected};

#[tokio::test]
async fn calls_errors_connections_breaker_and_memory_are_measured() {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    opentelemetry::global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader).build());
    let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let server = RedisServer::builder().maxmemory(64 << 20).start().await.unwrap();
    let redis = connected(Config::new(server.url().parse().unwrap())).await;
    for _ in 0..3 {
        redis.execute("measured.read", Command::new("GET").key("k")).await.unwrap();
    }
    redis.execute("measured.wrong", Command::new("INCR")).await.unwrap_err();
    let wrong = vec![Command::new("PING"), Command::new("INCR"), Command::new("PING")];
    redis.pipeline("measured.pipeline", wrong).await.unwrap();
    let has = |name: &str, labels: &[&str], value: &str| {
        text().lines().any(|line| {
            line.starts_with(name) && labels.iter().all(|label| line.contains(label)) && line.ends_with(value)
        })
    };
    let read = r#"db_operation_name="measured.read""#;
    assert!(
        has("db_client_operation_duration_seconds_count", &[read, r#"db_system_name="redis""#], " 3"),
        "{}",
        text()
    );
    let wrong = r#"db_operation_name="measured.wrong""#;
    assert!(has("trackside_redis_errors_total", &[wrong, r#"error_type="internal""#], " 1"), "{}", text());
    let pipeline = r#"db_operation_name="measured.pipeline""#;
    assert!(has("trackside_redis_errors_total", &[pipeline, r#"error_type="internal""#], " 1"), "{}", text());
    assert!(has("trackside_redis_breaker_state", &[r#"state="forced_open""#], " 0"), "{}", text());
    assert!(has("trackside_redis_breaker_state", &[r#"state="closed""#], " 1"), "{}", text());
    assert!(has("trackside_redis_breaker_state", &[r#"state="open""#], " 0"), "{}", text());
    assert!(has("db_client_connection_max", &[], " 3"), "{}", text());
    eventually(|| async { has("db_client_connection_count", &[r#"state="used""#], " 3") }, PATIENCE).await;
    eventually(|| async { has("trackside_redis_connects_total", &[], " 3") }, PATIENCE).await;
    eventually(|| async { has("trackside_redis_memory_max", &[], " 67108864") }, PATIENCE).await;
    assert!(!has("trackside_redis_memory_used", &[], " 0"), "{}", text());
}
