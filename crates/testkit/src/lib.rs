#![doc = include_str!("../README.md")]
#![expect(clippy::panic, reason = "a test kit stops the test with a sentence that says what is missing")]

mod eventually;
mod keeper;
mod port;
mod redis;

pub use eventually::{Verdict, eventually};
pub use redis::{Fsync, RedisServer, RedisServerBuilder, TlsFiles, find_redis_binary};
