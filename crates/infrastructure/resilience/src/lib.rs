#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backoff;
mod breaker;

pub use backoff::{Backoff, BackoffConfig, Jitter};
pub use breaker::{
    BreakerConfig, BreakerSnapshot, BreakerState, CircuitBreaker, Permit, ProbePermit, Rejected, Transition,
    TransitionReason,
};
