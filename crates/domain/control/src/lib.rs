#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod latch;
mod manager;
mod memory;
mod message;
mod metrics;
mod run;
mod state;
mod store;
mod verify;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "redis")]
mod redis;

pub use config::Config;
pub use error::Error;
pub use event::{ControlEvent, ControlEvents};
pub use manager::{AgentControl, Paused};
pub use memory::MemoryControlBus;
pub use message::{Channel, Message};
#[cfg(feature = "redis")]
pub use redis::{RedisControlBus, key_patterns};
pub use state::{AgentState, AgentStatus, BrakeScope, BrakeState, PauseReceipt, PauseRequest, ResumeReceipt};
pub use store::{Brakes, BusFeed, BusSignal, ControlBus, Engaged, Release, Released};
pub use verify::{StopOutcome, StopReport, Verification};
