//! The service against real servers that are killed, frozen, replaced and full.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod breaker;
mod calls;
mod failover;
mod logs;
mod measures;
mod outages;
mod pubsub;
mod refusals;
mod secrets;
mod support;
mod topologies;
mod typed;
mod unknown_outcomes;
mod urls;
