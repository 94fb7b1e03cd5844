//! What the circuit breaker makes of calls, and what is told of it.

use std::time::Duration;

use bytes::Bytes;
use trackside_core::{ErrorKind, HealthCheck, HealthStatus};
use trackside_redis::{Command, Config, RedisService, Script};
use trackside_resilience::{BackoffConfig, BreakerConfig, BreakerState, Jitter};
use trackside_testkit::{RedisServer, eventually};

use crate::support::{PATIENCE, config, connected, loading_server, recovered, touch};

/// Longer than any test.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A service whose connections give no signs of life, so that only the breaker can notice anything, and whose breaker
/// stays open for `open` and then, each time longer, for an hour.
async fn watched_by_the_breaker_alone(server: &RedisServer, open: Duration) -> RedisService {
    connected(Config { ping_interval: Duration::from_secs(20), ..opening_for(server, open) }).await
}

fn opening_for(server: &RedisServer, open: Duration) -> Config {
    let config = config(server);
    let open_backoff = BackoffConfig { initial: open, factor: 1e9, max: AN_HOUR, jitter: Jitter::None };
    Config { breaker: BreakerConfig { open_backoff, ramp: Duration::ZERO, ..config.breaker.clone() }, ..config }
}

fn is_open(redis: &RedisService) -> bool {
    matches!(redis.breaker(), BreakerState::Open { .. })
}

#[tokio::test]
async fn health_is_asked_round_an_open_breaker() {
    let server = RedisServer::start().await.unwrap();
    let redis = watched_by_the_breaker_alone(&server, AN_HOUR).await;
    server.pause();
    for outcome in futures::future::join_all((0..20).map(|_| touch(&redis))).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert!(is_open(&redis));
    server.resume();
    redis.ping().await.unwrap();
    assert!(redis.server_info().await.unwrap().version.contains('.'));
    let health = redis.check().await;
    assert_eq!(health.status, HealthStatus::Degraded, "the server answers, ordinary calls are still refused");
    assert_eq!(health.detail.as_deref(), Some("circuit breaker: open"));
    assert_eq!(touch(&redis).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_health_check_that_fails_tells_the_breaker_nothing() {
    let server = RedisServer::start().await.unwrap();
    let config = Config { health_timeout: Duration::from_millis(100), ..opening_for(&server, AN_HOUR) };
    let redis = connected(Config { ping_interval: Duration::from_secs(20), ..config }).await;
    server.pause();
    for _ in 0..10 {
        assert_eq!(redis.check().await.status, HealthStatus::Down);
    }
    assert_eq!(redis.breaker(), BreakerState::Closed);
    server.resume();
    eventually(|| redis.ping(), PATIENCE).await;
    assert_eq!(redis.check().await.status, HealthStatus::Ok);
}

#[tokio::test]
async fn a_pipeline_is_judged_by_its_worst_reply() {
    let server = RedisServer::start().await.unwrap();
    let redis = connected(opening_for(&server, AN_HOUR)).await;
    let pipeline = |middle: &'static str| {
        let script = format!("return redis.error_reply('{middle} as it were')");
        let commands =
            vec![Command::new("PING"), Command::new("EVAL").arg(script).arg(0), Command::new("GET").key("nothing")];
        redis.pipeline("test.pipeline", commands)
    };
    for _ in 0..30 {
        let replies = pipeline("CUSTOM").await.unwrap();
        assert_eq!(replies[1].as_ref().unwrap_err().code(), Some("CUSTOM"));
    }
    assert_eq!(redis.breaker(), BreakerState::Closed, "a refusal of one request says nothing about the server");
    for _ in 0..5 {
        let replies = pipeline("LOADING").await.unwrap();
        assert!(replies[0].is_ok() && replies[2].is_ok());
        assert_eq!(replies[1].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(is_open(&redis), "{:?}", redis.breaker());
    assert_eq!(pipeline("CUSTOM").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn callers_in_a_hurry_cannot_open_the_breaker_for_the_others() {
    let server = RedisServer::start().await.unwrap();
    let redis = watched_by_the_breaker_alone(&server, AN_HOUR).await;
    let script = Script::new("test.count", "return redis.call('INCR', KEYS[1])");
    let hurry = Duration::from_millis(10);
    server.pause();
    for _ in 0..10 {
        let command = Command::new("INCR").key("touched");
        let error = redis.execute_with_deadline("test.hurry", command, hurry).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let keys = vec!["counted".to_owned()];
        let error = redis.run_with_deadline(&script, keys, Vec::<Bytes>::new(), hurry).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert_eq!(redis.breaker(), BreakerState::Closed);
    server.resume();
    touch(&redis).await.unwrap();
}

#[tokio::test]
async fn a_server_that_loads_does_not_lengthen_the_outage() {
    let server = loading_server().await;
    // The second opening would last for an hour.
    let redis = RedisService::start(opening_for(&server, Duration::from_millis(20))).unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    for outcome in futures::future::join_all((0..10).map(|_| touch(&redis))).await {
        assert!(outcome.unwrap_err().to_string().contains("loading"));
    }
    assert_ne!(redis.breaker(), BreakerState::Closed);
    recovered(&redis).await;
    assert_eq!(server.cli(&["EXISTS", "key:1"]), "1");
}
