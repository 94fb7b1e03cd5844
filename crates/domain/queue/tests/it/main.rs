//! What the crate promises, seen from outside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test, also in its helpers")]

mod alerts;
#[cfg(feature = "redis")]
mod kit;
mod manager;
mod memory;
mod names;
mod processor_kit;
mod processor_leases;
mod processor_orders;
mod processor_outage;
#[cfg(feature = "redis")]
mod processor_redis;
mod processor_shutdown;
mod processor_work;
#[cfg(feature = "redis")]
mod redis_audit;
#[cfg(feature = "redis")]
mod redis_cluster;
#[cfg(feature = "redis")]
mod redis_compress;
#[cfg(feature = "redis")]
mod redis_differential;
#[cfg(feature = "redis")]
mod redis_durable;
#[cfg(feature = "redis")]
mod redis_faults;
#[cfg(feature = "redis")]
mod redis_gather;
#[cfg(feature = "redis")]
mod redis_kit;
#[cfg(feature = "redis")]
mod redis_laws;
#[cfg(feature = "redis")]
mod redis_odd;
#[cfg(feature = "redis")]
mod redis_plain;
#[cfg(feature = "redis")]
mod redis_relay;
#[cfg(feature = "redis")]
mod redis_repair;
#[cfg(feature = "redis")]
mod redis_upkeep;
#[cfg(feature = "redis")]
mod redis_wait;
mod schedule_laws;
mod scheduler;
#[cfg(feature = "redis")]
mod scheduler_redis;
