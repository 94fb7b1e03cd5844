//! What the crate promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod kit;
mod laws;
#[cfg(feature = "redis")]
mod leases;
mod manager;
#[cfg(feature = "redis")]
mod outages;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "axum")]
mod web;
