//! What an outage leaves in the log.

use std::time::Duration;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};
use trackside_core::ErrorKind;
use trackside_redis::Config;
use trackside_testkit::{RedisServer, eventually};

use crate::support::{Log, PATIENCE, config, connected, on, recovered, touch};

/// The records of the `log` crate are taken too, which is how the driver writes; its own filter is the one the README
/// asks for and trackside-telemetry sets.
fn logged() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_env_filter(EnvFilter::new("fred=off,info,trackside_redis=debug"));
    (log, subscriber.finish().set_default())
}

/// The lines that would wake somebody.
fn warnings(log: &Log) -> Vec<String> {
    let alarming = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    log.text().lines().filter(alarming).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_killed_server_is_one_warning_whoever_asks_meanwhile() {
    let (log, _guard) = logged();
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    touch(&redis).await.unwrap();
    let up = || async { redis.connection().borrow().to_string() };
    server.kill9();
    // Dialled in vain at least once.
    eventually(|| async { up().await.contains("refused") }, PATIENCE).await;
    for _ in 0..100 {
        touch(&redis).await.unwrap_err();
    }
    server.restart().await.unwrap();
    recovered(&redis).await;
    eventually(|| async { log.text().matches("redis is connected").count() == 2 }, PATIENCE).await;
    let warnings = warnings(&log);
    assert!(warnings.len() == 1 && warnings[0].contains("redis is disconnected"), "{}", warnings.join("\n"));
}

#[tokio::test]
async fn a_breaker_that_opens_is_one_warning_however_often_it_is_probed() {
    let (log, _guard) = logged();
    let server = RedisServer::start().await.unwrap();
    // No signs of life for 20 s: only the breaker can notice.
    let redis = connected(Config { ping_interval: Duration::from_secs(20), ..config(&server) }).await;
    server.pause();
    for outcome in futures::future::join_all((0..20).map(|_| touch(&redis))).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    eventually(|| async { log.text().matches("does not answer yet").count() >= 3 }, PATIENCE).await;
    server.resume();
    recovered(&redis).await;
    let warnings = warnings(&log);
    assert!(warnings.len() == 1 && warnings[0].contains("circuit breaker opened"), "{}", warnings.join("\n"));
    assert!(log.text().contains("redis circuit breaker closed breaker.from=ramping"), "{}", log.text());
}
