//! What the crate promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod kit;
mod laws;
mod manager;
#[cfg(feature = "redis")]
mod outages;
#[cfg(feature = "redis")]
mod redis;
mod security;
mod tokens;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
#[cfg(feature = "axum")]
mod web;
