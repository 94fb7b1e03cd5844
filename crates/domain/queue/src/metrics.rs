//! Instruments of the queue. Depths and ages are not here: they are gathered on scrape from the store.
//!
//! Label values are bounded: a process names at most [`MAX_LABEL_VALUES`] queues and as many kinds, the rest count as
//! `other`. A name ends in Prometheus with its unit and, for a counter, `_total`: `trackside.tasks.enqueued` is
//! `trackside_tasks_enqueued_total`.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{
    KeyValue, StringValue,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use trackside_core::{QueueName, Timestamp};

use crate::{ClaimedTask, Enqueued, NewTask, Settled, StepReply, TaskState};

/// Seconds an attempt ran, by queue and error type (OpenTelemetry semantic conventions). Of workers outside this process
/// from the moment at which the task was handed out.
pub const PROCESS_DURATION: &str = "messaging.process.duration";
/// Tasks accepted, by queue and task kind.
pub const TASKS_ENQUEUED: &str = "trackside.tasks.enqueued";
/// Attempts settled, by queue, task kind and the state that the task went to.
pub const TASKS_FINISHED: &str = "trackside.tasks.finished";
/// Tasks handed out again after a failed attempt, by queue.
pub const TASKS_RETRIES: &str = "trackside.tasks.retries";
/// Tasks handed out again after their worker died or lost its lease, by queue.
pub const TASKS_REDELIVERIES: &str = "trackside.tasks.redeliveries";
/// Tasks whose lease was lost while they ran, by queue.
pub const TASKS_LEASES_LOST: &str = "trackside.tasks.leases_lost";
/// Seconds between enqueue and the first claim, by queue.
pub const TASK_WAIT: &str = "trackside.task.wait";
/// The same, by queue and task kind.
pub const TASK_DURATION: &str = "trackside.task.duration";
/// Places for tasks in this process's processors, by queue and whether they are `busy` or `free`.
pub const WORKER_SLOTS: &str = "trackside.worker.slots";
/// Tasks that schedules made, by queue.
pub const SCHEDULE_RUNS: &str = "trackside.schedule.runs";
/// Seconds between the time at which a scheduled task was to be enqueued and when it was, by queue.
pub const SCHEDULE_LATENESS: &str = "trackside.schedule.lateness";
/// Scheduled tasks that could not be enqueued when they were due, by queue.
pub const SCHEDULE_FAILURES: &str = "trackside.schedule.failures";

/// Queues, and kinds, that a process tells apart in its metrics.
pub const MAX_LABEL_VALUES: usize = 100;

const OTHER: &str = "other";
/// The buckets that the semantic conventions advise for messaging durations, and longer ones for agents' work.
const SECONDS: [f64; 18] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// Made at the first use, which is after the program has installed its meter provider.
static INSTRUMENTS: LazyLock<Instruments> =
    LazyLock::new(|| Instruments::new(&opentelemetry::global::meter("trackside")));
static QUEUES: LazyLock<Labels> = LazyLock::new(Labels::default);
static KINDS: LazyLock<Labels> = LazyLock::new(Labels::default);

struct Instruments {
    process_duration: Histogram<f64>,
    enqueued: Counter<u64>,
    finished: Counter<u64>,
    retries: Counter<u64>,
    redeliveries: Counter<u64>,
    leases_lost: Counter<u64>,
    wait: Histogram<f64>,
    duration: Histogram<f64>,
    slots: Gauge<u64>,
    schedule_runs: Counter<u64>,
    schedule_lateness: Histogram<f64>,
    schedule_failures: Counter<u64>,
}

/// Label values seen first; later ones are `other`.
#[derive(Default)]
struct Labels(Mutex<HashSet<Arc<str>>>);

// === impl Instruments ===

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let count = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_description(description).build()
        };
        Self {
            process_duration: seconds(PROCESS_DURATION, "Duration of processing a task"),
            enqueued: count(TASKS_ENQUEUED, "Tasks accepted"),
            finished: count(TASKS_FINISHED, "Attempts settled, by the state the task went to"),
            retries: count(TASKS_RETRIES, "Tasks handed out again after a failed attempt"),
            redeliveries: count(TASKS_REDELIVERIES, "Tasks handed out again after their worker died"),
            leases_lost: count(TASKS_LEASES_LOST, "Tasks whose lease was lost while they ran"),
            wait: seconds(TASK_WAIT, "Time between enqueue and the first claim"),
            duration: seconds(TASK_DURATION, "Time a handler ran"),
            slots: meter.u64_gauge(WORKER_SLOTS).with_description("Places for tasks in this process").build(),
            schedule_runs: count(SCHEDULE_RUNS, "Tasks that schedules made"),
            schedule_lateness: seconds(SCHEDULE_LATENESS, "How late scheduled tasks were enqueued"),
            schedule_failures: count(SCHEDULE_FAILURES, "Scheduled tasks that could not be enqueued when due"),
        }
    }
}

// === impl Labels ===

impl Labels {
    fn value(&self, text: &str) -> StringValue {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = seen.get(text) {
            return Arc::clone(value).into();
        }
        if seen.len() >= MAX_LABEL_VALUES {
            return OTHER.into();
        }
        let value: Arc<str> = text.into();
        seen.insert(Arc::clone(&value));
        value.into()
    }
}

/// What was known before was counted then.
pub(crate) fn enqueued(queue: &QueueName, tasks: &[NewTask], answers: &[Enqueued]) {
    for (task, _) in tasks.iter().zip(answers).filter(|(_, answer)| !answer.replayed) {
        INSTRUMENTS.enqueued.add(1, &[queue_label(queue), kind_label(&task.kind)]);
    }
}

pub(crate) fn claimed(queue: &QueueName, tasks: &[ClaimedTask], now: Timestamp) {
    let labels = [queue_label(queue)];
    for task in tasks {
        if task.crashes > 0 {
            INSTRUMENTS.redeliveries.add(1, &labels);
        } else if task.attempt > 1 {
            INSTRUMENTS.retries.add(1, &labels);
        } else {
            let waited = Duration::from_millis(now.millis_since(task.enqueued_at));
            INSTRUMENTS.wait.record(waited.as_secs_f64(), &labels);
        }
    }
}

/// A handler returned, or was stopped: `error_type` names the failure.
pub(crate) fn processed(task: &ClaimedTask, elapsed: Duration, error_type: Option<&'static str>) {
    ran(&task.queue, &task.kind, elapsed, error_type);
}

/// Attempts of workers outside this process that were settled through it: they ran since they were handed out.
pub(crate) fn settled_elsewhere(queue: &QueueName, reply: &StepReply) {
    for (settled, attempt) in reply.settled.iter().zip(&reply.attempts) {
        let (Settled::Applied(state), Some(attempt)) = (settled, attempt) else { continue };
        let error_type = match state {
            TaskState::Completed => None,
            TaskState::Failed | TaskState::Dead => Some("handler_error"),
            TaskState::Cancelled => Some("cancelled"),
            _ => Some("released"),
        };
        ran(queue, &attempt.kind, Duration::from_millis(reply.now.millis_since(attempt.started_at)), error_type);
        if error_type != Some("released") {
            finished(queue, &attempt.kind, *state);
        }
    }
}

fn ran(queue: &QueueName, kind: &str, elapsed: Duration, error_type: Option<&'static str>) {
    let seconds = elapsed.as_secs_f64();
    INSTRUMENTS.duration.record(seconds, &[queue_label(queue), kind_label(kind)]);
    let mut labels = vec![
        KeyValue::new("messaging.system", "redis"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.destination.name", QUEUES.value(queue.as_str())),
    ];
    labels.extend(error_type.map(|error_type| KeyValue::new("error.type", error_type)));
    INSTRUMENTS.process_duration.record(seconds, &labels);
}

/// The store applied a settlement.
pub(crate) fn finished(queue: &QueueName, kind: &str, state: TaskState) {
    let labels = [queue_label(queue), kind_label(kind), KeyValue::new("state", state.as_str())];
    INSTRUMENTS.finished.add(1, &labels);
}

pub(crate) fn lease_lost(queue: &QueueName) {
    INSTRUMENTS.leases_lost.add(1, &[queue_label(queue)]);
}

pub(crate) fn slots(queue: &QueueName, busy: usize, free: usize) {
    for (state, count) in [("busy", busy), ("free", free)] {
        INSTRUMENTS.slots.record(count as u64, &[queue_label(queue), KeyValue::new("state", state)]);
    }
}

/// A schedule made tasks, the last of them so late.
pub(crate) fn schedule_fired(queue: &QueueName, tasks: u64, lateness: Duration) {
    INSTRUMENTS.schedule_runs.add(tasks, &[queue_label(queue)]);
    INSTRUMENTS.schedule_lateness.record(lateness.as_secs_f64(), &[queue_label(queue)]);
}

pub(crate) fn schedule_failed(queue: &QueueName) {
    INSTRUMENTS.schedule_failures.add(1, &[queue_label(queue)]);
}

fn queue_label(queue: &QueueName) -> KeyValue {
    KeyValue::new("queue", QUEUES.value(queue.as_str()))
}

fn kind_label(kind: &str) -> KeyValue {
    KeyValue::new("task", KINDS.value(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_bounded() {
        let labels = Labels::default();
        for n in 0..MAX_LABEL_VALUES {
            assert_eq!(labels.value(&format!("kind-{n}")).as_str(), format!("kind-{n}"));
        }
        assert_eq!(labels.value("one too many").as_str(), OTHER);
        assert_eq!(labels.value("kind-0").as_str(), "kind-0", "known ones keep their name");
    }
}
