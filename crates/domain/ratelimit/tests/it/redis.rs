//! What only a real server can show: round trips, what is left in it, and what a lost answer does.

use std::time::Duration;

use trackside_ratelimit::{Algorithm, Dimension, Limit, Policy, Quota, RateLimiter, Settlement, Source, Subject, Unit};
use trackside_testkit::{RedisServer, eventually};

use crate::kit::{SOON, name, only, redis, user};

const MINUTE: Duration = Duration::from_secs(60);

/// User, project and address, by one algorithm.
fn three(algorithm: Algorithm) -> Policy {
    let limit = |dimension, limit| Limit::new(dimension, Quota { algorithm, ..Quota::new(limit, MINUTE) });
    Policy::of([limit(Dimension::User, 50), limit(Dimension::Project, 500), limit(Dimension::Ip, 200)])
}

fn subject() -> Subject {
    user("alice").with(Dimension::Project, "tower").unwrap().with(Dimension::Ip, "192.0.2.1").unwrap()
}

/// Calls of the server that are no commands inside a script.
pub(crate) fn calls(server: &RedisServer, names: &[&str]) -> usize {
    let stats = server.cli(&["INFO", "commandstats"]);
    let of = |name: &&str| -> usize {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    names.iter().map(of).sum()
}

async fn check(limiter: &RateLimiter) -> bool {
    limiter.check(&name("p"), &subject(), 1).await.unwrap().allowed
}

#[tokio::test]
async fn three_dimensions_are_one_round_trip() {
    let server = RedisServer::start().await.unwrap();
    for algorithm in [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth] {
        let limiter = redis(&server.url(), algorithm.as_str(), only(three(algorithm))).await;
        assert!(check(&limiter).await);
        server.cli(&["CONFIG", "RESETSTAT"]);
        for _ in 0..10 {
            let decision = limiter.check(&name("p"), &subject(), 1).await.unwrap();
            assert_eq!((decision.allowed, decision.source, decision.limits().len()), (true, Source::Redis, 3));
        }
        assert_eq!(calls(&server, &["evalsha", "eval"]), 10, "{algorithm:?}");
    }
    let limiter = redis(&server.url(), "fast", only(three(Algorithm::Fast))).await;
    server.cli(&["CONFIG", "RESETSTAT"]);
    assert!(check(&limiter).await);
    assert_eq!(calls(&server, &["incrby", "get", "pexpire"]), 9);
    assert_eq!(calls(&server, &["evalsha", "eval", "decrby"]), 0);
}

#[tokio::test]
async fn every_key_is_under_its_prefix_and_ends_with_its_window() {
    let server = RedisServer::start().await.unwrap();
    for algorithm in [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth, Algorithm::Fast] {
        // Of which each unit counts for the whole window.
        let mut policy = three(algorithm);
        policy.limits.iter_mut().for_each(|limit| limit.quota.limit = 1);
        let limiter = redis(&server.url(), "app:", only(policy)).await;
        assert!(check(&limiter).await);
    }
    let running = Quota { algorithm: Algorithm::Concurrent, ..Quota::new(5, MINUTE) };
    let places = Policy::of([Limit::new(Dimension::User, running)]);
    let limiter = redis(&server.url(), "app:", only(places)).await;
    limiter.reserve(&name("p"), &user("alice"), 1).await.unwrap();
    let keys = server.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 4 * 3 + 2, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("app:limits:{p}:"), "{key}");
        let ttl: i64 = server.cli(&["PTTL", key]).parse().unwrap();
        assert!((1..=120_000).contains(&ttl), "{key} lives for {ttl} ms");
    }
}

#[tokio::test]
async fn a_log_is_no_longer_than_twice_what_counts() {
    let server = RedisServer::start().await.unwrap();
    let quota = Quota { algorithm: Algorithm::Exact, ..Quota::new(100, Duration::from_millis(50)) };
    let limiter = redis(&server.url(), "", only(Policy::of([Limit::new(Dimension::User, quota)]))).await;
    let mut longest = 0;
    let mut admitted = 0;
    while admitted < 2_000 {
        admitted += u32::from(limiter.check(&name("p"), &user("alice"), 1).await.unwrap().allowed);
        let length: usize = server.cli(&["STRLEN", "limits:{p}:user:exact50:alice"]).parse().unwrap();
        longest = longest.max(length / 6);
    }
    assert!(longest <= 2 * 100 + 64 + 1, "{longest} entries");
}

#[tokio::test]
async fn what_one_process_reserves_another_one_settles() {
    let server = RedisServer::start().await.unwrap();
    let limits = [
        Limit { unit: Unit::Request, ..Limit::new(Dimension::User, Quota::new(5, MINUTE)) },
        Limit::new(Dimension::User, Quota::new(1_000, MINUTE)).named("tokens".parse().unwrap()),
    ];
    let config = only(Policy::of(limits));
    let here = redis(&server.url(), "", config.clone()).await;
    let there = redis(&server.url(), "", config).await;
    let (_, reservation) = here.reserve(&name("p"), &user("alice"), 700).await.unwrap();
    let token = reservation.unwrap().to_string();
    assert!(!there.check(&name("p"), &user("alice"), 301).await.unwrap().allowed);
    assert!(there.settle(&token.parse().unwrap(), Settlement::Used(100)).await.unwrap());
    let decision = there.check(&name("p"), &user("alice"), 900).await.unwrap();
    let left: Vec<u64> = decision.limits().map(|state| state.remaining).collect();
    assert_eq!((decision.allowed, left), (true, vec![3, 0]));
}

#[tokio::test]
async fn an_override_reaches_other_processes() {
    let server = RedisServer::start().await.unwrap();
    let policy = Policy::of([Limit::new(Dimension::User, Quota::new(1, MINUTE))]);
    let config = trackside_ratelimit::Config { sync_every: Duration::from_millis(20), ..only(policy) };
    let here = redis(&server.url(), "", config.clone()).await;
    let there = redis(&server.url(), "", config).await;
    let running = there.clone();
    let run = tokio::spawn(async move { running.run(tokio_util::sync::CancellationToken::new()).await });
    here.set_override(&name("p"), &"user".parse().unwrap(), &user("alice"), Some(7)).await.unwrap();
    let limit = async || there.peek(&name("p"), &user("alice"), 1).await.unwrap().limits().next().unwrap().limit;
    eventually(|| async { limit().await == 7 }, SOON).await;
    run.abort();
}
