//! A server, a client, and the call that does nearly nothing.

use std::{hint::black_box, time::Duration};

use trackside_redis::{Command, RedisService};
use trackside_testkit::RedisServer;

/// A server of the bench's own, and the client that everything is measured through.
#[derive(Debug)]
pub(crate) struct Stage {
    _server: RedisServer,
    /// The client.
    pub(crate) redis: RedisService,
}

// === impl Stage ===

impl Stage {
    /// A server with one value in it.
    pub(crate) async fn start(value: &[u8]) -> Self {
        let server = RedisServer::start().await.expect("a redis-server");
        let url = server.url().parse().expect("the server's address");
        let redis = RedisService::start(trackside_redis::Config::new(url)).expect("a service");
        redis.wait_until_connected(Duration::from_secs(10)).await.expect("a connection");
        redis.execute("bench.set", Command::new("SET").key("bare").arg(value)).await.expect("a value to get");
        Self { _server: server, redis }
    }

    /// Reads the value: one round trip, and next to nothing for the server to do.
    pub(crate) async fn get(&self) {
        black_box(self.redis.execute("bench.get", Command::new("GET").key("bare")).await.expect("a value"));
    }
}
