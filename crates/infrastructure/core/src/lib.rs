#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod correlation;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod ids;
mod keys;
mod names;
mod timestamp;

pub use clock::{Clock, ManualClock, SystemClock};
pub use correlation::{CorrelationId, TraceParent};
pub use error::{ErrorKind, RetryClass};
pub use health::{ComponentHealth, HealthCheck, HealthStatus};
pub use ids::TaskId;
pub use keys::{KeyPatterns, KeyPrefix};
pub use names::{InvalidName, QueueName, ScheduleName, UserId, WorkerId};
pub use timestamp::Timestamp;
