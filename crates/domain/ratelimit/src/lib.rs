#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod algorithm;
mod config;
mod decision;
mod error;
mod manager;
mod memory;
mod metrics;
mod policy;
mod reservation;
mod store;
mod subject;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "axum")]
mod web;

pub use algorithm::Algorithm;
pub use config::Config;
pub use decision::{Decision, LimitState, Source};
pub use error::Error;
pub use manager::{PolicyStats, RateLimiter};
pub use memory::MemoryRateLimitStore;
pub use policy::{Dimension, Limit, LimitName, Outage, Policy, PolicyName, Quota, Unit};
#[cfg(feature = "redis")]
pub use redis::{RedisRateLimitStore, key_patterns};
pub use reservation::{Reservation, ReservationId, Settlement};
pub use store::{
    Answer, Ask, Counter, CounterState, Group, MAX_OVERRIDES, Mode, RateLimitStore, Shared, Target, Verdict,
};
pub use subject::Subject;
#[cfg(feature = "axum")]
pub use web::{
    Fields, QUOTA_EXCEEDED, RateLimitLayer, RateLimitRejection, RateLimitService, RateLimited, TrustedProxies,
};
