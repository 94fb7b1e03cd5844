//! What can go wrong when telemetry starts or stops. Nothing goes wrong between: it never fails its user.

use std::time::Duration;

use trackside_core::ErrorKind;

/// Telemetry could not start, or could not stop cleanly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be understood.
    #[error("invalid {name}: {reason}")]
    InvalidSetting {
        /// What was set.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The log filter cannot be understood.
    #[error("invalid log filter {filter:?}")]
    InvalidFilter {
        /// The directives as they were given.
        filter: String,
        /// Which one is wrong.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Telemetry, or another subscriber of `tracing`, is installed in this process already.
    #[error("a tracing subscriber is already installed in this process")]
    AlreadyInstalled,
    /// The trace exporter could not be made.
    #[error("cannot set up the trace exporter")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The metrics reader could not be made.
    #[error("cannot set up the metrics reader")]
    Metrics(#[source] opentelemetry_sdk::error::OTelSdkError),
    /// The last spans did not reach the collector.
    #[error("the collector did not take the last spans: {reason}")]
    SpansLost {
        /// What the exporter said.
        reason: String,
    },
    /// Telemetry did not stop in time; what it still held is lost.
    #[error("telemetry did not stop within {} ms", limit.as_millis())]
    ShutdownTimeout {
        /// The time it had.
        limit: Duration,
    },
}

// === impl Error ===

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidSetting { .. } | Self::InvalidFilter { .. } => ErrorKind::InvalidInput,
            Self::AlreadyInstalled => ErrorKind::Conflict,
            Self::Exporter(_) | Self::Metrics(_) => ErrorKind::Internal,
            Self::SpansLost { .. } => ErrorKind::Unavailable,
            Self::ShutdownTimeout { .. } => ErrorKind::Timeout,
        }
    }

    /// Whether trying again can help: never, as telemetry starts and stops once in a process.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}
