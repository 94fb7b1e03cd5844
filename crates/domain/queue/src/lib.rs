#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alerts;
mod audit;
mod brake;
mod causes;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod dependency;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod idempotency;
mod intake;
mod letters;
mod limits;
mod manager;
mod memory;
pub mod metrics;
mod monitor;
mod outbox;
mod policy;
mod processor;
#[cfg(feature = "redis")]
mod redis;
mod relay;
mod repair;
mod retry;
mod schedule;
mod stats;
mod step;
mod store;
mod task;
mod workers;

#[cfg(feature = "redis")]
pub use alerts::RedisAlertBoard;
pub use alerts::{Alert, AlertBoard, AlertRule, AlertState, MemoryAlertBoard, Observation};
pub use audit::{Places, QueueAudit};
pub use brake::{BrakeChange, BrakePage, BrakeScope};
pub use config::Config;
pub use dependency::{Dependency, MAX_DEPENDENCIES, OnFailure, Predecessor};
pub use error::Error;
pub use intake::{Durability, Enqueued, Intake, Unique, UniqueUntil};
pub use letters::{DeadCursor, DeadFilter, DeadLetter, DeadPage, DeadRef, PastAttempt, Swept};
pub use manager::{
    Acknowledged, CancelOutcome, ExtendRequest, Extension, ItemResult, LeaseRequest, MAX_NEXT, MIN_LEASE, NextTask,
    QueueManager, RegistrationHook,
};
pub use memory::MemoryQueueStore;
pub use monitor::{AlertNotifier, MonitorConfig, MonitorHandle, QueueActivity, QueueMonitor, Thresholds};
pub use outbox::{Delivery, MAX_MESSAGES, OutboxMessage, OutboxPage, OutboxRequest};
pub use policy::{QueuePolicy, Rate};
pub use processor::{
    Handlers, ProcessorConfig, ProcessorHandle, ProcessorState, ProcessorStatus, ProgressReport, ProgressSink,
    RunningTask, StartGate, StopReason, TaskContext, TaskEvent, TaskFailure, TaskHandler, TaskObserver, TaskProcessor,
    handler_fn,
};
#[cfg(feature = "redis")]
pub use redis::{RedisQueueStore, key_patterns};
pub use relay::OutboxRelay;
pub use repair::{InvalidCursor, RepairCursor, RepairPage};
pub use retry::RetryPolicy;
pub use schedule::{
    CatchUp, ClaimedSchedules, MAX_CATCH_UP, MemoryScheduleStore, RunLog, Schedule, ScheduleOptions, ScheduleRecord,
    ScheduleRun, ScheduleStatus, ScheduleStore, Scheduler, SchedulerConfig, Schedules, Slot, When,
};
#[cfg(feature = "redis")]
pub use schedule::{RedisScheduleStore, schedule_key_patterns};
pub use stats::QueueStats;
pub use step::{EndedAttempt, Order, Outcome, Renewal, Renewed, Settled, Settlement, Step, StepReply};
pub use store::{MAX_BATCH, PeekedTask, QueueStore};
pub use task::{ClaimedTask, DEFAULT_MAX_ATTEMPTS, Due, Fence, NewTask, Priority, TaskOptions, TaskState, TaskStatus};
pub use workers::{HeldTask, WorkerStatus};
