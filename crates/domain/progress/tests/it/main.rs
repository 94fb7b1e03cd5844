//! What the crate promises, seen from outside.

mod disconnects;
mod laws;
#[cfg(feature = "redis")]
mod redis;
mod tracker;
