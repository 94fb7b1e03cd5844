//! Managers over both stores.

use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use serde_json::{Map, Value};
use trackside_core::{ManualClock, UserId};
use trackside_session::{Config, MemorySessionStore, NewSession, Session, SessionManager, SessionToken};

#[cfg(feature = "redis")]
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn user(text: &str) -> UserId {
    text.parse().unwrap()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A manager over memory, and the clock that its store reads.
pub(crate) fn memory(config: Config) -> (SessionManager, ManualClock) {
    let clock = ManualClock::default();
    let store = MemorySessionStore::new(Arc::new(clock.clone()));
    (SessionManager::new(Arc::new(store), config).unwrap(), clock)
}

pub(crate) async fn log_in(sessions: &SessionManager, name: &str) -> (SessionToken, Session) {
    sessions.create(NewSession::of(user(name))).await.unwrap()
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

/// A manager over Redis.
#[cfg(feature = "redis")]
pub(crate) async fn redis(url: &str, prefix: &str, config: Config) -> SessionManager {
    let store = trackside_session::RedisSessionStore::new(connect(url, prefix).await);
    SessionManager::new(Arc::new(store), config).unwrap()
}
