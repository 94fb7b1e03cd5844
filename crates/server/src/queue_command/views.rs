//! Queues and tasks for people. Fields that an older service does not have count as nothing.

use serde::Deserialize;
use serde_json::value::RawValue;
use trackside_core::Timestamp;

use crate::output::{Align, line, span, table};

/// Characters of a payload or a reason that a row shows.
const EXCERPT: usize = 60;

#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    queue: String,
    ready: Ready,
    depth: u64,
    active: u64,
    delayed: u64,
    waiting: u64,
    parked: u64,
    dead: u64,
    oldest_age_ms: Option<u64>,
    paused: bool,
    scale_hint: String,
    #[serde(default)]
    workers: u64,
    #[serde(default)]
    slots: u64,
    #[serde(default)]
    created: u64,
    #[serde(default)]
    completed: u64,
    #[serde(default)]
    cancelled: u64,
}

#[derive(Debug, Deserialize)]
struct Ready {
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Upcoming {
    task_id: Option<String>,
    kind: Option<String>,
    priority: String,
    enqueued_at: Option<Timestamp>,
    payload: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dead {
    task_id: String,
    kind: String,
    attempts: u64,
    crashes: u64,
    finished_at: Option<Timestamp>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Workers {
    workers: Vec<Worker>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Worker {
    worker_id: String,
    since: Timestamp,
    last_seen_at: Timestamp,
    slots: u64,
    active: u64,
    tasks: Vec<Held>,
}

#[derive(Debug, Deserialize)]
struct Held {
    task_id: String,
    started_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Audit {
    created: u64,
    ready: u64,
    active: u64,
    delayed: u64,
    waiting: u64,
    parked: u64,
    completed: u64,
    dead: u64,
    cancelled: u64,
    purged: u64,
    #[serde(default)]
    unadopted: u64,
    #[serde(default)]
    unplaced: u64,
    pub(super) balanced: bool,
}

/// A row for each queue.
pub(super) fn queues(queues: &[Queue]) -> anyhow::Result<String> {
    use Align::{Left, Right};
    let columns = [
        ("QUEUE", Left),
        ("READY", Right),
        ("ACTIVE", Right),
        ("DELAYED", Right),
        ("WAITING", Right),
        ("PARKED", Right),
        ("DEAD", Right),
        ("OLDEST", Right),
        ("STATE", Left),
    ];
    let row = |queue: &Queue| {
        let counts = [queue.depth, queue.active, queue.delayed, queue.waiting, queue.parked, queue.dead];
        let mut row = vec![queue.queue.clone()];
        row.extend(counts.iter().map(ToString::to_string));
        row.push(queue.oldest_age_ms.map_or_else(|| "-".to_owned(), span));
        row.push(if queue.paused { "paused" } else { "running" }.to_owned());
        row
    };
    Ok(table(&columns, &queues.iter().map(row).collect::<Vec<_>>()))
}

/// One queue, a line for each figure.
pub(super) fn queue(queue: &Queue) -> anyhow::Result<String> {
    let ready = &queue.ready;
    let levels = [ready.critical, ready.high, ready.normal, ready.low].map(|count| count.to_string());
    let [critical, high, normal, low] = levels;
    let rows = [
        ("queue", queue.queue.clone()),
        ("state", if queue.paused { "paused" } else { "running" }.to_owned()),
        ("ready", format!("{}  (critical {critical}, high {high}, normal {normal}, low {low})", queue.depth)),
        ("active", queue.active.to_string()),
        ("delayed", queue.delayed.to_string()),
        ("waiting", queue.waiting.to_string()),
        ("parked", queue.parked.to_string()),
        ("dead", queue.dead.to_string()),
        ("oldest", queue.oldest_age_ms.map_or_else(|| "-".to_owned(), span)),
        ("scale", queue.scale_hint.clone()),
        ("workers", format!("{}  ({} places)", queue.workers, queue.slots)),
        ("created", queue.created.to_string()),
        ("completed", queue.completed.to_string()),
        ("cancelled", queue.cancelled.to_string()),
    ];
    Ok(rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect())
}

/// The workers of a queue, a row for each below an empty line; nothing where there is none.
pub(super) fn workers(answer: &Workers) -> anyhow::Result<String> {
    use Align::{Left, Right};
    if answer.workers.is_empty() {
        return Ok(String::new());
    }
    let columns = [
        ("WORKER", Left),
        ("PLACES", Right),
        ("ACTIVE", Right),
        ("SEEN", Right),
        ("SINCE", Right),
        ("LONGEST TASK", Left),
    ];
    let row = |worker: &Worker| {
        let longest = worker.tasks.first().map(|task| format!("{} for {}", task.task_id, age(task.started_at)));
        vec![
            line(&worker.worker_id, EXCERPT),
            worker.slots.to_string(),
            worker.active.to_string(),
            age(worker.last_seen_at) + " ago",
            age(worker.since),
            longest.unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows = table(&columns, &answer.workers.iter().map(row).collect::<Vec<_>>());
    let more = if answer.next_cursor.is_some() { "…\n" } else { "" };
    Ok(format!("\n{rows}{more}"))
}

/// The next tasks, a row for each.
pub(super) fn upcoming(tasks: &[Upcoming]) -> anyhow::Result<String> {
    use Align::{Left, Right};
    let columns = [("TASK", Left), ("KIND", Left), ("PRIORITY", Left), ("AGE", Right), ("PAYLOAD", Left)];
    let row = |task: &Upcoming| {
        vec![
            task.task_id.clone().unwrap_or_else(|| "(pushed by a plain client)".to_owned()),
            line(task.kind.as_deref().unwrap_or("-"), EXCERPT),
            task.priority.clone(),
            task.enqueued_at.map_or_else(|| "-".to_owned(), age),
            line(task.payload.get(), EXCERPT),
        ]
    };
    Ok(table(&columns, &tasks.iter().map(row).collect::<Vec<_>>()))
}

/// Dead letters, a row for each.
pub(super) fn dead(tasks: &[Dead]) -> anyhow::Result<String> {
    use Align::{Left, Right};
    let columns =
        [("TASK", Left), ("KIND", Left), ("ATTEMPTS", Right), ("CRASHES", Right), ("DIED", Right), ("REASON", Left)];
    let row = |task: &Dead| {
        vec![
            task.task_id.clone(),
            line(&task.kind, EXCERPT),
            task.attempts.to_string(),
            task.crashes.to_string(),
            task.finished_at.map_or_else(|| "-".to_owned(), |at| age(at) + " ago"),
            line(task.error.as_deref().unwrap_or("-"), EXCERPT),
        ]
    };
    Ok(table(&columns, &tasks.iter().map(row).collect::<Vec<_>>()))
}

/// Where every task is that was ever accepted.
pub(super) fn audit(audit: &Audit) -> anyhow::Result<String> {
    let rows = [
        ("created", audit.created),
        ("ready", audit.ready),
        ("active", audit.active),
        ("delayed", audit.delayed),
        ("waiting", audit.waiting),
        ("parked", audit.parked),
        ("completed", audit.completed),
        ("dead", audit.dead),
        ("cancelled", audit.cancelled),
        ("purged", audit.purged),
        ("unadopted", audit.unadopted),
        ("unplaced", audit.unplaced),
    ];
    let mut text: String = rows.iter().map(|(name, count)| format!("{name:<10} {count:>10}\n")).collect();
    text += if audit.balanced { "balanced\n" } else { "NOT BALANCED\n" };
    Ok(text)
}

/// How long ago, by this machine's clock.
fn age(at: Timestamp) -> String {
    span(Timestamp::now().millis_since(at))
}
