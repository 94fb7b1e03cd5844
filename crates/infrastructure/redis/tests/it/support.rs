//! What every test here needs.

use std::time::Duration;

use trackside_core::KeyPrefix;
use trackside_redis::{Config, RedisService};
use trackside_testkit::RedisServer;

/// Longer than anything takes on a loaded machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connected service on the shared server, under a prefix of its own.
pub(crate) async fn shared() -> RedisService {
    let server = RedisServer::shared().await;
    let mut config = Config::new(server.url().parse().unwrap());
    config.prefix = KeyPrefix::new(server.unique_prefix());
    connected(config).await
}

/// A connected service on a server of its own.
pub(crate) async fn on(server: &RedisServer) -> RedisService {
    connected(Config::new(server.url().parse().unwrap())).await
}

/// A service that is connected.
pub(crate) async fn connected(config: Config) -> RedisService {
    let redis = RedisService::start(config).unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    redis
}
