#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
mod limits;
mod memory;
mod store;
mod task;

pub use config::Config;
pub use error::Error;
pub use memory::MemoryQueueStore;
pub use store::{
    BrakeChange, BrakeScope, DeadCursor, DeadLetter, MAX_BATCH, Order, Outcome, PeekedTask, QueueStats, QueueStore,
    Renewal, Renewed, Settled, Settlement, Step, StepReply,
};
pub use task::{
    ClaimedTask, DEFAULT_MAX_ATTEMPTS, Due, Fence, NewTask, Priority, RetryPolicy, TaskOptions, TaskState, TaskStatus,
};
