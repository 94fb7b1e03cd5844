//! The store away: each policy goes on as it says, and nobody is denied by a failure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use trackside_core::{HealthCheck, HealthStatus};
use trackside_ratelimit::{Config, Dimension, Error, Limit, Outage, Policy, Quota, RateLimiter, Settlement, Source};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::kit::{SOON, name, redis, user};

const HOUR: Duration = Duration::from_secs(3_600);

/// One policy for each way to go on, called by its name.
fn policies(limit: u64) -> Config {
    let policy = |outage| Policy { outage, ..Policy::of([Limit::new(Dimension::User, Quota::new(limit, HOUR))]) };
    let all = [("local", Outage::Local), ("closed", Outage::Closed), ("open", Outage::Open)];
    Config { policies: all.map(|(called, outage)| (name(called), policy(outage))).into(), ..Config::default() }
}

async fn admitted(limiter: &RateLimiter, policy: &str, calls: u32) -> u32 {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += u32::from(limiter.check(&name(policy), &user("alice"), 1).await.unwrap().allowed);
    }
    admitted
}

#[tokio::test]
async fn each_policy_goes_on_as_it_says_and_comes_back_by_itself() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let limiter = redis(&format!("redis://127.0.0.1:{}", proxy.port()), "", policies(100)).await;
    for policy in ["local", "closed", "open"] {
        assert_eq!(admitted(&limiter, policy, 80).await, 80);
    }
    assert_eq!(HealthCheck::check(&limiter).await.status, HealthStatus::Ok);
    proxy.cut();

    // This process has taken everything that was taken, so that the rest is its own.
    assert_eq!(admitted(&limiter, "local", 60).await, 20);
    let denied = limiter.check(&name("local"), &user("alice"), 1).await.unwrap();
    assert_eq!((denied.allowed, denied.source), (false, Source::Local));
    assert!(denied.retry_after.is_some_and(|wait| wait > Duration::ZERO && wait <= HOUR));
    // Whom it does not know has what a single process may.
    let stranger = limiter.check(&name("local"), &user("bob"), 1).await.unwrap();
    assert_eq!((stranger.allowed, stranger.limits().next().unwrap().remaining), (true, 99));

    assert_eq!(admitted(&limiter, "open", 60).await, 60);
    let error = limiter.check(&name("closed"), &user("alice"), 1).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && error.kind().is_store_outage(), "{error:?}");
    let (_, reservation) = limiter.reserve(&name("open"), &user("alice"), 1).await.unwrap();
    let reservation = reservation.unwrap();
    assert!(limiter.settle(&reservation, Settlement::Used(1)).await.unwrap_err().kind().is_store_outage());
    assert_eq!(HealthCheck::check(&limiter).await.status, HealthStatus::Degraded);

    proxy.heal();
    let source = async |policy| limiter.peek(&name(policy), &user("alice"), 1).await.map(|decision| decision.source);
    eventually(|| async { source("local").await.is_ok_and(|source| source == Source::Redis) }, SOON).await;
    // What this process allowed by itself is not counted afterwards.
    assert_eq!(admitted(&limiter, "local", 60).await, 20);
    assert_eq!(admitted(&limiter, "closed", 60).await, 20);
    assert!(!limiter.settle(&reservation, Settlement::Used(1)).await.unwrap(), "the store never knew of it");
    assert_eq!(HealthCheck::check(&limiter).await.status, HealthStatus::Ok);
}

#[tokio::test]
async fn two_processes_alone_allow_little_more_than_one_limit_together() {
    let server = RedisServer::start().await.unwrap();
    let mut limiters = Vec::new();
    let mut proxies = Vec::new();
    for _ in 0..2 {
        let proxy = FaultProxy::start(server.port()).await.unwrap();
        let config = Config { sync_every: Duration::from_millis(20), ..policies(1_000) };
        let limiter = redis(&format!("redis://127.0.0.1:{}", proxy.port()), "", config).await;
        let running = limiter.clone();
        tokio::spawn(async move { running.run(tokio_util::sync::CancellationToken::new()).await });
        limiters.push(limiter);
        proxies.push(proxy);
    }
    for limiter in &limiters {
        eventually(|| async { limiter.processes() == 2 }, SOON).await;
    }
    // One of them is used three times as much.
    for _ in 0..100 {
        assert_eq!(admitted(&limiters[0], "local", 3).await + admitted(&limiters[1], "local", 1).await, 4);
    }
    proxies.iter().for_each(FaultProxy::cut);
    let [much, little] = [admitted(&limiters[0], "local", 1_000).await, admitted(&limiters[1], "local", 1_000).await];
    // Of the 600 that remained, and a few that flow in meanwhile.
    assert!((400..=500).contains(&much) && (100..=200).contains(&little), "{much} and {little}");
    let strangers = async |limiter: &RateLimiter| -> u32 {
        let mut admitted = 0;
        for _ in 0..1_000 {
            admitted += u32::from(limiter.check(&name("local"), &user("bob"), 1).await.unwrap().allowed);
        }
        admitted
    };
    let both = strangers(&limiters[0]).await + strangers(&limiters[1]).await;
    assert!((1_000..=1_300).contains(&both), "{both} of 1000");
}

#[tokio::test]
async fn a_frozen_server_is_waited_for_until_the_breaker_opens_and_not_longer() {
    let server = RedisServer::start().await.unwrap();
    let limiter = redis(&server.url(), "", policies(1_000_000)).await;
    assert_eq!(admitted(&limiter, "local", 10).await, 10);
    server.pause();
    // The first calls find out.
    let source = async || limiter.check(&name("local"), &user("alice"), 1).await.unwrap().source;
    eventually(|| async { source().await == Source::Local }, SOON).await;
    let fast = || async {
        let start = Instant::now();
        source().await == Source::Local && start.elapsed() < Duration::from_millis(5)
    };
    eventually(fast, SOON).await;
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let start = Instant::now();
        assert_eq!(source().await, Source::Local);
        times.push(start.elapsed());
    }
    times.sort();
    // The probes of the breaker are not made by callers, so that none of them waits for the server.
    assert!(times[500] < Duration::from_millis(5), "{:?}", times[500]);
    server.resume();
    eventually(|| async { source().await == Source::Redis }, SOON).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_away_too() {
    let server = RedisServer::start().await.unwrap();
    let limiter = Arc::new(redis(&server.url(), "", policies(10)).await);
    assert_eq!(admitted(&limiter, "local", 5).await, 5);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let alone = limiter.check(&name("local"), &user("alice"), 1).await.unwrap();
    assert_eq!((alone.allowed, alone.source), (true, Source::Local));
    assert!(limiter.check(&name("closed"), &user("alice"), 1).await.is_err());
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(limiter.check(&name("local"), &user("alice"), 1).await.unwrap().source, Source::Redis);
}
