//! The server answers, and the answer is no.

use std::time::Duration;

use trackside_core::ErrorKind;
use trackside_redis::{Command, Error, RedisService, Refusal, Script};
use trackside_resilience::BreakerState;
use trackside_testkit::{RedisServer, eventually};

use crate::support::{PATIENCE, config, loading_server, on, touch};

fn refusal(error: &Error) -> Option<Refusal> {
    match error {
        Error::Refused { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_refusal_that_never_shows_it() {
    let server = RedisServer::builder().password("right-s3cret").start().await.unwrap();
    let url = format!("redis://:wrong-s3cret@127.0.0.1:{}", server.port());
    let redis = RedisService::start(trackside_redis::Config::new(url.parse().unwrap())).unwrap();
    let known = || async { redis.wait_until_connected(Duration::ZERO).await.err().as_ref().and_then(refusal) };
    assert_eq!(eventually(known, PATIENCE).await, Refusal::Auth);
    let error = touch(&redis).await.unwrap_err();
    assert_eq!(refusal(&error), Some(Refusal::Auth));
    let state = redis.connection().borrow().to_string();
    let shown = format!("{error} {error:?} {redis:?} {state} {:?}", config(&server));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn what_the_rules_forbid_is_a_refusal_and_no_outage() {
    let server = RedisServer::builder().acl("reader on >pass ~allowed:* &* +@all -flushall").start().await.unwrap();
    let url = format!("redis://reader:pass@127.0.0.1:{}", server.port());
    let redis = crate::support::connected(trackside_redis::Config::new(url.parse().unwrap())).await;
    for _ in 0..30 {
        let command = redis.execute("test.flush", Command::new("FLUSHALL")).await.unwrap_err();
        assert_eq!(refusal(&command), Some(Refusal::Acl), "{command}");
        let key = redis.execute("test.read", Command::new("GET").key("forbidden:7")).await.unwrap_err();
        assert_eq!(key.to_string(), "test.read on forbidden:*: the server's access rules forbid it");
    }
    assert_eq!(redis.breaker(), BreakerState::Closed);
    redis.execute("test.read", Command::new("GET").key("allowed:7")).await.unwrap();
}

#[tokio::test]
async fn a_replica_refuses_writes() {
    let primary = RedisServer::start().await.unwrap();
    let replica = RedisServer::builder().replica_of(&primary).start().await.unwrap();
    eventually(|| async { replica.cli(&["INFO", "replication"]).contains("master_link_status:up") }, PATIENCE).await;
    let redis = on(&replica).await;
    let refused = || async { touch(&redis).await.err().as_ref().and_then(refusal) };
    assert_eq!(eventually(refused, PATIENCE).await, Refusal::ReadOnly);
    let read = || redis.execute("test.read", Command::new("GET").key("touched"));
    assert!(eventually(read, PATIENCE).await.is_nil(), "reads go on");
}

#[tokio::test]
async fn a_full_server_refuses_writes_and_still_serves_what_frees_memory() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let big = vec![b'x'; 100_000];
    redis.execute("test.write", Command::new("SET").key("big").arg(big.clone())).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "100kb"]);
    for _ in 0..30 {
        let error = redis.execute("test.write", Command::new("SET").key("more").arg(big.clone())).await.unwrap_err();
        assert_eq!(refusal(&error), Some(Refusal::OutOfMemory), "{error}");
    }
    let script = Script::new("test.write", "return redis.call('SET', KEYS[1], 'x')");
    let error = redis.run(&script, vec!["k".to_owned()], vec![]).await.unwrap_err();
    assert_eq!(refusal(&error), Some(Refusal::OutOfMemory), "{error}");
    assert_eq!(redis.breaker(), BreakerState::Closed, "the server is well, only full");
    redis.execute("test.free", Command::new("DEL").key("big")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_unavailable_and_then_serves() {
    let server = loading_server().await;
    let redis = RedisService::start(config(&server)).unwrap();
    let loading = || async { touch(&redis).await.err().filter(|error| error.to_string().contains("loading")) };
    let error = eventually(loading, PATIENCE).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable(), "nothing ran");
    crate::support::recovered(&redis).await;
    assert_eq!(server.cli(&["EXISTS", "key:1"]), "1");
}

#[tokio::test]
async fn a_refused_subscription_is_told_and_disturbs_no_other() {
    let server = RedisServer::builder().acl("agent on >pass ~* resetchannels &allowed:* +@all").start().await.unwrap();
    let url = format!("redis://agent:pass@127.0.0.1:{}", server.port());
    let redis = crate::support::connected(trackside_redis::Config::new(url.parse().unwrap())).await;
    let mut allowed = redis.subscribe(vec!["allowed:1".to_owned()]).unwrap();
    allowed.ready().await.unwrap();
    for index in 0..20 {
        let mut forbidden = redis.subscribe(vec!["secret:1".to_owned(), format!("allowed:extra-{index}")]).unwrap();
        let error = forbidden.ready().await.unwrap_err();
        assert_eq!(refusal(&error), Some(Refusal::Acl), "{error}");
        assert_eq!(forbidden.next().await, None);
        // Answers still belong to their questions.
        let (key, value) = (format!("k{index}"), index.to_string());
        redis.execute("test.write", Command::new("SET").key(&key).arg(&value)).await.unwrap();
        let read = redis.execute("test.read", Command::new("GET").key(&key)).await.unwrap();
        assert_eq!(read.into_string().unwrap(), value);
    }
    redis.publish("allowed:1", "still here").await.unwrap();
    let event = tokio::time::timeout(PATIENCE, allowed.next()).await.unwrap().unwrap();
    assert!(
        matches!(&event, trackside_redis::PubSubEvent::Message { payload, .. } if payload == "still here"),
        "not even a gap: {event:?}"
    );
}

#[tokio::test]
async fn too_many_clients_is_an_outage_and_not_a_defect() {
    let server = RedisServer::builder().option("maxclients", "1").start().await.unwrap();
    let redis = RedisService::start(config(&server)).unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    touch(&redis).await.unwrap();
    assert!(redis.is_connected(), "one of three connections is enough");
    redis.shutdown().await;
}
