//! How full the queues are, asked of the store at each scrape, so that every process shows the same and nothing old.
//!
//! Written beside the process' own instruments: a gauge of OpenTelemetry would go on showing its last value while the
//! store is away.

use std::{fmt::Write as _, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use trackside_core::QueueName;
use trackside_queue::{
    Alert, AlertState, Error, MonitorHandle, Priority, QueueManager, QueueStats, metrics::MAX_LABEL_VALUES,
};

/// Tasks that are ready, by queue and priority.
const READY: &str = "trackside_queue_ready";
/// Tasks that are not ready, by queue and state.
const TASKS: &str = "trackside_queue_tasks";
/// Seconds that the oldest task which is next in its level has waited, by queue; absent when none waits.
const OLDEST_AGE: &str = "trackside_queue_oldest_age_seconds";
/// 1 while the queue is paused, by queue.
const PAUSED: &str = "trackside_queue_paused";
/// Memory that the unfinished tasks take, by queue.
const BYTES: &str = "trackside_queue_bytes";
/// Workers that were seen during the last minute, by queue.
const WORKERS: &str = "trackside_queue_workers";
/// How many tasks they take at once, by queue.
const SLOTS: &str = "trackside_queue_slots";

/// Attempts that failed, those of them that are tried again, leases that ended without a result, and tasks that came up too
/// late, by queue and which of these.
const FAILURES: &str = "trackside_queue_failures_total";
/// 1 while an alert fires, by queue and rule.
const ALERT: &str = "trackside_queue_alert";

/// How long a scrape waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);
/// Queues asked at the same time.
const ASKED_AT_ONCE: usize = 16;

/// The gauges of at most [`MAX_LABEL_VALUES`] queues in Prometheus' text format; nothing when the store does not answer.
pub(crate) async fn render(queues: &QueueManager, monitor: &MonitorHandle) -> String {
    match tokio::time::timeout(PATIENCE, async { tokio::try_join!(ask(queues), monitor.alerts()) }).await {
        Ok(Ok((figures, alerts))) => write(&figures) + &write_alerts(&alerts),
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a scrape is answered without the queues");
            String::new()
        }
        Err(_) => {
            tracing::debug!("a scrape is answered without the queues: the store did not answer in time");
            String::new()
        }
    }
}

async fn ask(queues: &QueueManager) -> Result<Vec<(QueueName, QueueStats)>, Error> {
    let names = queues.queues().await?;
    let stats = |queue: QueueName| async move {
        let stats = queues.stats(&queue).await?;
        Ok((queue, stats))
    };
    stream::iter(names.into_iter().take(MAX_LABEL_VALUES)).map(stats).buffered(ASKED_AT_ONCE).try_collect().await
}

/// A queue's name holds no character that would have to be escaped in a label.
fn write(figures: &[(QueueName, QueueStats)]) -> String {
    let (mut ready, mut tasks, mut oldest, mut paused, mut workers, mut slots, mut memory) = (
        family(READY, "Tasks that are ready"),
        family(TASKS, "Tasks that are not ready, by state"),
        family(OLDEST_AGE, "Age of the oldest task that is next"),
        family(PAUSED, "1 while the queue is paused"),
        family(WORKERS, "Workers that were seen during the last minute"),
        family(SLOTS, "Tasks that the workers take at once"),
        family(BYTES, "Estimated memory of the unfinished tasks"),
    );
    let mut failures = format!("# HELP {FAILURES} What went wrong, by event\n# TYPE {FAILURES} counter\n");
    for (queue, stats) in figures {
        for (priority, count) in Priority::ALL.into_iter().zip(stats.ready) {
            let priority = priority.as_str();
            let _infallible = writeln!(ready, "{READY}{{queue=\"{queue}\",priority=\"{priority}\"}} {count}");
        }
        let states = [
            ("active", stats.active),
            ("delayed", stats.delayed),
            ("waiting", stats.waiting),
            ("parked", stats.parked),
            ("dead", stats.dead),
        ];
        for (state, count) in states {
            let _infallible = writeln!(tasks, "{TASKS}{{queue=\"{queue}\",state=\"{state}\"}} {count}");
        }
        if let Some(age) = stats.oldest_age {
            let _infallible = writeln!(oldest, "{OLDEST_AGE}{{queue=\"{queue}\"}} {}", age.as_secs_f64());
        }
        let events = [
            ("failed", stats.failed),
            ("retried", stats.retried),
            ("crashed", stats.crashed),
            ("expired", stats.expired),
        ];
        for (event, count) in events {
            let _infallible = writeln!(failures, "{FAILURES}{{queue=\"{queue}\",event=\"{event}\"}} {count}");
        }
        let _infallible = writeln!(memory, "{BYTES}{{queue=\"{queue}\"}} {}", stats.bytes);
        let _infallible = writeln!(workers, "{WORKERS}{{queue=\"{queue}\"}} {}", stats.workers);
        let _infallible = writeln!(slots, "{SLOTS}{{queue=\"{queue}\"}} {}", stats.slots);
        let _infallible = writeln!(paused, "{PAUSED}{{queue=\"{queue}\"}} {}", u8::from(stats.paused));
    }
    ready + &tasks + &oldest + &paused + &workers + &slots + &memory + &failures
}

fn write_alerts(alerts: &[Alert]) -> String {
    let firing = alerts.iter().filter(|alert| alert.state == AlertState::Firing).take(MAX_LABEL_VALUES);
    firing.fold(family(ALERT, "1 while the alert fires"), |mut text, alert| {
        let _infallible = writeln!(text, "{ALERT}{{queue=\"{}\",rule=\"{}\"}} 1", alert.queue, alert.rule.as_str());
        text
    })
}

fn family(name: &str, help: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n")
}
