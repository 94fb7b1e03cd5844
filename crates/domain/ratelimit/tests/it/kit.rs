//! Limiters over both stores.

use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use trackside_core::ManualClock;
use trackside_ratelimit::{Config, Dimension, MemoryRateLimitStore, Policy, PolicyName, RateLimiter, Subject};

#[cfg(feature = "redis")]
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

pub(crate) fn user(text: &str) -> Subject {
    Subject::of(Dimension::User, text).unwrap()
}

/// Settings with one policy, which is called `p`.
pub(crate) fn only(policy: Policy) -> Config {
    Config { policies: [(name("p"), policy)].into(), ..Config::default() }
}

/// A limiter over memory, and the clock that its store reads.
pub(crate) fn memory(config: Config) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::default();
    let store = MemoryRateLimitStore::new(Arc::new(clock.clone()));
    (RateLimiter::new(Arc::new(store), config).unwrap(), clock)
}

/// A Redis service with its own prefix, connected.
#[cfg(feature = "redis")]
pub(crate) async fn connect(url: &str, prefix: &str) -> trackside_redis::RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let prefix = trackside_core::KeyPrefix::new(prefix);
    let redis = trackside_redis::RedisService::start(trackside_redis::Config { prefix, ..config }).unwrap();
    redis.wait_until_connected(SOON).await.unwrap();
    redis
}

/// A limiter over Redis.
#[cfg(feature = "redis")]
pub(crate) async fn redis(url: &str, prefix: &str, config: Config) -> RateLimiter {
    let store = trackside_ratelimit::RedisRateLimitStore::new(connect(url, prefix).await);
    RateLimiter::new(Arc::new(store), config).unwrap()
}
