//! What the crate promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod alerts;
#[cfg(feature = "redis")]
mod checker;
mod kit;
mod laws;
mod loads;
mod manager;
#[cfg(feature = "redis")]
mod outages;
#[cfg(feature = "redis")]
mod processes;
#[cfg(feature = "redis")]
mod redis;
mod slow_store;
#[cfg(feature = "axum")]
mod web;
