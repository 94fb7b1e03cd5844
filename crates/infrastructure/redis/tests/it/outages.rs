//! The server is killed, frozen or not there yet.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use trackside_core::{ErrorKind, HealthCheck, HealthStatus};
use trackside_redis::{Command, Config, Error, GapReason, PubSubEvent, RedisService, Script};
use trackside_testkit::{Fsync, RedisServer, eventually};

use crate::support::{PATIENCE, config, connected, on, recovered, touch};

/// The quickest of many refusals: what a refusal costs when the machine lets it run.
async fn quickest_refusal(redis: &RedisService) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..200 {
        let asked = Instant::now();
        let error = touch(redis).await.unwrap_err();
        quickest = quickest.min(asked.elapsed());
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    quickest
}

#[tokio::test]
async fn a_killed_server_is_noticed_at_once_and_its_return_too() {
    let server = RedisServer::builder().appendonly(Fsync::Always).start().await.unwrap();
    let redis = on(&server).await;
    redis.execute("test.write", Command::new("SET").key("kept").arg("yes")).await.unwrap();
    server.kill9();
    eventually(|| async { !redis.is_connected() }, PATIENCE).await;
    assert!(quickest_refusal(&redis).await < Duration::from_millis(1), "no waiting for a server that is not there");
    let health = redis.check().await;
    assert_eq!(health.status, HealthStatus::Down);
    assert!(health.detail.is_some_and(|reason| !reason.is_empty()));
    server.restart().await.unwrap();
    recovered(&redis).await;
    let kept = redis.execute("test.read", Command::new("GET").key("kept")).await.unwrap();
    assert_eq!(kept.into_string().unwrap(), "yes");
    assert_eq!(redis.check().await.status, HealthStatus::Ok);
}

#[tokio::test]
async fn a_script_runs_after_a_restart_without_being_loaded_by_hand() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let script = Script::new("test.count", "return redis.call('INCR', KEYS[1])");
    let run = || redis.run(&script, vec!["counted".to_owned()], vec![]);
    assert_eq!(run().await.unwrap().as_int().unwrap(), 1);
    server.kill9();
    server.restart().await.unwrap();
    let reply = eventually(run, PATIENCE).await;
    assert_eq!(reply.as_int().unwrap(), 1, "a server that forgot its data has forgotten its scripts too");
}

#[tokio::test]
async fn a_frozen_server_costs_its_first_callers_the_deadline_and_later_ones_nothing() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    touch(&redis).await.unwrap();
    server.pause();
    let asked = Instant::now();
    let error = touch(&redis).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(!error.is_retryable(), "the outcome is unknown");
    assert!(asked.elapsed() >= Duration::from_millis(300), "the server had its time: {:?}", asked.elapsed());
    let refused = || async { touch(&redis).await.is_err_and(|error| error.kind() == ErrorKind::Unavailable) };
    eventually(refused, PATIENCE).await;
    assert!(quickest_refusal(&redis).await < Duration::from_millis(1));
    server.resume();
    recovered(&redis).await;
}

#[tokio::test]
async fn a_frozen_server_opens_the_breaker_and_no_caller_has_to_close_it() {
    let server = RedisServer::start().await.unwrap();
    // No signs of life for 20 s: only the breaker can notice.
    let config = Config { ping_interval: Duration::from_secs(20), ..config(&server) };
    let redis = connected(config).await;
    server.pause();
    let calls: Vec<_> = (0..20).map(|_| touch(&redis)).collect();
    for outcome in futures::future::join_all(calls).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    let error = touch(&redis).await.unwrap_err();
    assert!(error.to_string().contains("circuit breaker"), "{error}");
    assert!(error.retry_after().is_some());
    assert!(quickest_refusal(&redis).await < Duration::from_millis(1));
    server.resume();
    eventually(|| async { redis.breaker() == trackside_resilience::BreakerState::Closed }, PATIENCE).await;
    touch(&redis).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_absent_at_the_start_is_used_when_it_arrives() {
    let server = RedisServer::builder().prepare().unwrap();
    let redis = RedisService::start(config(&server)).unwrap();
    let error = redis.wait_until_connected(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(redis.check().await.status, HealthStatus::Down);
    let mut subscription = redis.subscribe(vec!["late".to_owned()]).unwrap();
    subscription.ready().await.unwrap_err();
    server.restart().await.unwrap();
    recovered(&redis).await;
    let event = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
    assert_eq!(event, PubSubEvent::Gap { reason: GapReason::Reconnected });
    redis.publish("late", "heard").await.unwrap();
    let event = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
    assert!(matches!(event, PubSubEvent::Message { .. }), "{event:?}");
}

#[tokio::test]
async fn subscriptions_come_back_by_themselves_and_tell_of_the_gap() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let mut channel = redis.subscribe(vec!["news".to_owned()]).unwrap();
    let mut pattern = redis.subscribe_patterns(vec!["ne*".to_owned()]).unwrap();
    channel.ready().await.unwrap();
    pattern.ready().await.unwrap();
    server.kill9();
    server.restart().await.unwrap();
    for subscription in [&mut channel, &mut pattern] {
        let event = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
        assert_eq!(event, PubSubEvent::Gap { reason: GapReason::Reconnected });
    }
    // The gap comes when the subscription is back, so nothing after it is missed.
    assert_eq!(server.cli(&["PUBLISH", "news", "back"]), "2");
    for subscription in [&mut channel, &mut pattern] {
        let event = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
        assert!(matches!(&event, PubSubEvent::Message { payload, .. } if payload == "back"), "{event:?}");
    }
}

#[tokio::test]
async fn a_frozen_server_is_noticed_by_subscriptions_too() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let mut subscription = redis.subscribe(vec!["news".to_owned()]).unwrap();
    subscription.ready().await.unwrap();
    server.pause();
    eventually(|| async { !redis.is_connected() }, PATIENCE).await;
    let error = redis.subscribe(vec!["more".to_owned()]).unwrap().ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.resume();
    let event = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
    assert_eq!(event, PubSubEvent::Gap { reason: GapReason::Reconnected });
}

#[tokio::test]
async fn shutdown_is_bounded_whatever_the_server_does() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let mut subscription = redis.subscribe(vec!["news".to_owned()]).unwrap();
    subscription.ready().await.unwrap();
    let waiter = redis.blocking("waiter").unwrap();
    let blocked = tokio::spawn(async move {
        waiter.execute("test.wait", Command::new("BLPOP").key("nothing").arg(60), Duration::from_secs(60)).await
    });
    eventually(|| async { server.cli(&["INFO", "clients"]).contains("blocked_clients:1") }, PATIENCE).await;
    server.pause();
    timeout(PATIENCE, redis.shutdown()).await.expect("shutdown ends");
    assert_eq!(subscription.next().await, None);
    assert_eq!(blocked.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(touch(&redis).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(redis.subscribe(vec!["x".to_owned()]).is_err());
    redis.shutdown().await;
}

#[tokio::test]
async fn shutdown_leaves_no_connection_behind() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    redis.subscribe(vec!["news".to_owned()]).unwrap().ready().await.unwrap();
    let clients = || server.cli(&["CLIENT", "LIST"]).lines().count();
    assert_eq!(clients(), 5, "three for commands, one for subscriptions, one that asks");
    redis.shutdown().await;
    eventually(|| async { clients() == 1 }, PATIENCE).await;
    let forgotten = on(&server).await;
    drop(forgotten);
    eventually(|| async { clients() == 1 }, PATIENCE).await;
}

#[tokio::test]
async fn an_empty_blocking_call_is_nil_and_a_dropped_one_takes_nothing() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let waiter = redis.blocking("waiter").unwrap();
    let take = |seconds: f64| Command::new("BLPOP").key("jobs").arg(seconds);
    let reply = waiter.execute("test.take", take(0.05), Duration::from_millis(50)).await.unwrap();
    assert!(reply.is_nil());
    // Longer than the timeout of an ordinary command, which must not end it.
    let waiting = waiter.execute("test.take", take(30.0), Duration::from_secs(30));
    assert!(timeout(Duration::from_millis(800), waiting).await.is_err(), "nothing came");
    eventually(|| async { server.cli(&["INFO", "clients"]).contains("blocked_clients:0") }, PATIENCE).await;
    server.cli(&["RPUSH", "jobs", "one"]);
    assert_eq!(server.cli(&["LLEN", "jobs"]), "1", "the caller who left was not handed anything");
    let take_one = || waiter.execute("test.take", take(1.0), Duration::from_secs(1));
    let reply = eventually(take_one, PATIENCE).await;
    let [_, job] = reply.into_array_of::<2>().unwrap();
    assert_eq!(job.into_string().unwrap(), "one");
}

#[tokio::test]
async fn a_dropped_call_leaks_no_permit() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    server.pause();
    for _ in 0..50 {
        assert!(timeout(Duration::from_millis(2), touch(&redis)).await.is_err());
    }
    server.resume();
    let error: Result<(), Error> = eventually(|| async { touch(&redis).await.map(Ok) }, PATIENCE).await;
    error.unwrap();
    recovered(&redis).await;
}
