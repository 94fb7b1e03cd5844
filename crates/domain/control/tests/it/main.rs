//! What the crate promises, seen from outside.

mod control;
mod laws;
#[cfg(feature = "redis")]
mod redis;
