//! What only a real server can show.

use std::time::Duration;

use trackside_core::KeyPrefix;
use trackside_redis::RedisService;

const SOON: Duration = Duration::from_secs(30);

/// A service with its own prefix, connected.
pub(crate) async fn connect(url: &str, prefix: &str) -> RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let config = trackside_redis::Config {
        prefix: KeyPrefix::new(prefix),
        subscription_buffer: 16_384.try_into().unwrap(),
        ..config
    };
    let redis = RedisService::start(config).unwrap();
    redis.wait_until_connected(SOON).await.unwrap();
    redis
}
