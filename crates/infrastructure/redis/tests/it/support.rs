//! What every test here needs.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use trackside_core::KeyPrefix;
use trackside_redis::{Command, Config, Error, RedisService};
use trackside_resilience::BreakerState;
use trackside_testkit::{RedisServer, eventually};

/// Longer than anything takes on a loaded machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Collects what is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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

/// The settings for a server, with its default timeouts.
pub(crate) fn config(server: &RedisServer) -> Config {
    Config::new(server.url().parse().unwrap())
}

/// A server that has begun to load its data, which takes it three seconds.
pub(crate) async fn loading_server() -> RedisServer {
    // It looks up from loading every two megabytes.
    let builder = RedisServer::builder().option("key-load-delay", "1000").option("rdbcompression", "no");
    let server = builder.start().await.unwrap();
    server.cli(&["DEBUG", "POPULATE", "3000", "key", "32768"]);
    server.cli(&["SAVE"]);
    server.restart_until("Loading RDB").await.unwrap();
    server
}

/// One call that any server answers.
pub(crate) async fn touch(redis: &RedisService) -> Result<(), Error> {
    redis.execute("test.touch", Command::new("INCR").key("touched")).await.map(drop)
}

/// Waits until the service lets calls through again and they succeed.
pub(crate) async fn recovered(redis: &RedisService) {
    eventually(|| touch(redis), PATIENCE).await;
    eventually(|| async { redis.breaker() == BreakerState::Closed }, PATIENCE).await;
}
