#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod change;
mod claim;
mod config;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod id;
mod manager;
mod memory;
mod metrics;
mod operation;
mod store;
mod stream;
mod writer;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "redis")]
mod redis;

pub use config::Config;
pub use error::Error;
pub use event::{EventKind, Frame, ProgressEvent};
pub use id::{EventId, ProgressId};
pub use manager::{Lookup, ProgressTracker, Receipt};
pub use memory::MemoryProgressStore;
pub use operation::{FinalStatus, NewOperation, Snapshot, Status, StepSnapshot, StepSpec, Update};

#[cfg(feature = "redis")]
pub use redis::{RedisProgressStore, key_patterns};
pub use store::{Append, Appended, Head, LiveFeed, LiveSignal, MAX_FRAMES, ProgressStore, WriterId};
