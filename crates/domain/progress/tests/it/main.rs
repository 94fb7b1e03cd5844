//! What the crate promises, seen from outside.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops there")]

mod disconnects;
mod laws;
#[cfg(feature = "redis")]
mod redis;
mod tracker;
