#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
mod logs;
mod metrics;
mod propagation;
mod telemetry;
mod traces;

pub use config::{Config, LogFormat, OtlpConfig};
pub use error::Error;
pub use metrics::{DURATION_BOUNDARIES, MetricsHandle};
pub use propagation::{current_traceparent, extract, inject, set_parent, set_parent_from_headers};
pub use telemetry::{Telemetry, init};
