#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod job;

mod manifest;
mod registry;
mod runner;

mod history;
mod status;
mod updates;

mod handler;
mod live;
mod service;

mod config;
pub mod metrics;

#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use config::Config;
pub use error::{Error, FieldError};
pub use handler::{JOB_KIND, JobHandler};
pub use history::{JobFilter, JobHistory, MAX_PAGE, PostgresJobHistory, SqliteJobHistory};
pub use job::{JobProgress, JobRecord, JobSource, JobState, JobView};
pub use manifest::{
    CommandTemplate, DEFAULT_QUEUE, DEFAULT_TIMEOUT, ManifestError, OutputPatterns, ParameterSchema, SearchPath,
    ToolManifest,
};
#[cfg(feature = "redis")]
pub use redis::{RedisJobStatusStore, RedisJobUpdates, key_patterns};
pub use registry::{ManifestProblem, Tool, ToolInfo, ToolRegistry};
pub use runner::{
    JobFolders, JobOutput, LineLimits, OutputLimits, ResourceLimits, Run, RunEnd, RunEvent, RunReport, Runner,
    RunnerConfig, Stream,
};
pub use service::{JobDeps, JobPage, JobReceipt, JobService, JobStats, OutputFile, RunRequest};
pub use status::{JobStatusStore, MemoryJobStatusStore};
pub use updates::{JobEvent, JobUpdate, JobUpdateEvent, JobUpdates, MemoryJobUpdates};
