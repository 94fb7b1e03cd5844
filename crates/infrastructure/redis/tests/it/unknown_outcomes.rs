//! The command ran and its answer was lost: told as unknown, and never run a second time by the driver.

use std::time::Duration;

use trackside_core::ErrorKind;
use trackside_redis::{Command, Config, RedisService, Script};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::support::{PATIENCE, connected, recovered};

async fn through(proxy: &FaultProxy) -> RedisService {
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    connected(Config::new(url.parse().unwrap())).await
}

#[tokio::test]
async fn a_script_whose_answer_is_lost_is_of_unknown_outcome_and_runs_once() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let redis = through(&proxy).await;
    let script = Script::new("test.count", "return redis.call('INCR', KEYS[1])");
    redis.run(&script, vec!["warm".to_owned()], vec![]).await.unwrap();
    proxy.drop_replies();
    let error = redis.run(&script, vec!["counted".to_owned()], vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("unknown"), "{error}");
    assert_eq!(server.cli(&["GET", "counted"]), "1");
    // The connections are thrown away and dialled again; nothing is sent a second time.
    proxy.cut();
    eventually(|| async { !redis.is_connected() }, PATIENCE).await;
    proxy.heal();
    recovered(&redis).await;
    assert_eq!(server.cli(&["GET", "counted"]), "1");
}

#[tokio::test]
async fn a_connection_that_breaks_in_between_leaves_the_outcome_unknown() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let redis = through(&proxy).await;
    proxy.drop_replies();
    let call = tokio::spawn({
        let redis = redis.clone();
        async move { redis.execute("test.count", Command::new("INCR").key("counted")).await }
    });
    eventually(|| async { server.cli(&["GET", "counted"]) == "1" }, PATIENCE).await;
    proxy.cut();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    proxy.heal();
    recovered(&redis).await;
    assert_eq!(server.cli(&["GET", "counted"]), "1");
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_noticed_and_left() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let redis = through(&proxy).await;
    proxy.blackhole();
    eventually(|| async { !redis.is_connected() }, PATIENCE).await;
    proxy.heal();
    recovered(&redis).await;
}

#[tokio::test]
async fn a_slow_answer_beyond_the_deadline_belongs_to_nobody_else() {
    let server = RedisServer::start().await.unwrap();
    server.cli(&["MSET", "a", "answer a", "b", "answer b"]);
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let redis = through(&proxy).await;
    proxy.delay(Duration::from_millis(200));
    let read = |key: &'static str, deadline| {
        redis.execute_with_deadline("test.read", Command::new("GET").key(key), Duration::from_millis(deadline))
    };
    for _ in 0..3 {
        assert_eq!(read("a", 50).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(read("b", 5_000).await.unwrap().into_string().unwrap(), "answer b");
    }
}
