//! What the crate promises, seen from outside.

mod manager;
mod memory;
mod names;
mod processor_kit;
mod processor_leases;
mod processor_orders;
mod processor_outage;
mod processor_shutdown;
mod processor_work;
#[cfg(feature = "redis")]
mod redis_kit;
#[cfg(feature = "redis")]
mod redis_laws;
