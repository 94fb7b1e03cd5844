#![doc = include_str!("../README.md")]
#![expect(clippy::panic, reason = "a test kit stops the test with a sentence that says what is missing")]

mod eventually;
mod fault_proxy;
mod keeper;
mod port;
mod postgres;
mod redis;

pub use eventually::{Verdict, eventually};
pub use fault_proxy::FaultProxy;
pub use postgres::PostgresServer;
pub use redis::{Fsync, RedisCluster, RedisSentinels, RedisServer, RedisServerBuilder, TlsFiles, find_redis_binary};
