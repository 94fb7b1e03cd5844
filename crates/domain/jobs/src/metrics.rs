//! Instruments of jobs.
//!
//! The label `tool` is bounded by the registry: only names of tools that exist are recorded. A name ends in Prometheus
//! with its unit and, for a counter, `_total`: `trackside.jobs.started` is `trackside_jobs_started_total`.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::JobState;

/// Jobs accepted, by tool.
pub const JOBS_CREATED: &str = "trackside.jobs.created";
/// Runs begun, by tool.
pub const JOBS_STARTED: &str = "trackside.jobs.started";
/// Runs ended, by tool and state.
pub const JOBS_FINISHED: &str = "trackside.jobs.finished";
/// Seconds a run took, by tool and state.
pub const JOB_DURATION: &str = "trackside.job.duration";

const SECONDS: [f64; 14] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Made at the first use, which is after the program has installed its meter provider.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = opentelemetry::global::meter("trackside");
    Instruments {
        created: meter.u64_counter(JOBS_CREATED).with_description("Jobs accepted").build(),
        started: meter.u64_counter(JOBS_STARTED).with_description("Runs of jobs begun").build(),
        finished: meter.u64_counter(JOBS_FINISHED).with_description("Runs of jobs ended").build(),
        duration: meter
            .f64_histogram(JOB_DURATION)
            .with_unit("s")
            .with_description("How long runs of jobs took")
            .with_boundaries(SECONDS.to_vec())
            .build(),
    }
});

struct Instruments {
    created: Counter<u64>,
    started: Counter<u64>,
    finished: Counter<u64>,
    duration: Histogram<f64>,
}

pub(crate) fn created(tool: &str) {
    INSTRUMENTS.created.add(1, &[KeyValue::new("tool", tool.to_owned())]);
}

pub(crate) fn started(tool: &str) {
    INSTRUMENTS.started.add(1, &[KeyValue::new("tool", tool.to_owned())]);
}

pub(crate) fn ended(tool: &str, state: JobState, elapsed: Duration) {
    let labels = [KeyValue::new("tool", tool.to_owned()), KeyValue::new("status", state.as_str())];
    INSTRUMENTS.finished.add(1, &labels);
    INSTRUMENTS.duration.record(elapsed.as_secs_f64(), &labels);
}
