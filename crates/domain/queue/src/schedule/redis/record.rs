//! How a schedule is written down in Redis.
//!
//! ```text
//! <revision> <state> <slot> <created> <updated> <timing>\n<log>\n<extra run>\n<definition>\n<payload>
//! ```
//! `state` is `p` while the schedule rests and `r` otherwise, times are milliseconds, and `timing` is a hash of all that
//! decides when it is due. Log, extra run and definition are JSON without line breaks; the second may be empty. Scripts
//! read and write the first line only. Fields that a version does not know are left out when it writes the schedule.

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use trackside_core::{ErrorKind, QueueName, ScheduleName, TaskId, Timestamp, UserId};

use super::super::{CatchUp, RunLog, Schedule, ScheduleOptions, ScheduleRecord, ScheduleRun, When};
use crate::{DEFAULT_MAX_ATTEMPTS, Error, Priority, RetryPolicy, limits};

pub(super) const PAUSED: &str = "p";
pub(super) const RUNNING: &str = "r";

/// What was written, but for name, payload and whether it rests.
#[derive(Debug, Serialize, Deserialize)]
struct Definition {
    queue: QueueName,
    kind: String,
    #[serde(flatten)]
    timing: Timing,
    #[serde(default)]
    catch_up: CatchUpText,
    #[serde(default)]
    priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default = "default_max_attempts")]
    max_attempts: NonZeroU32,
    #[serde(default)]
    retry: RetryPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Timing {
    when: WhenText,
    #[serde(default)]
    jitter_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WhenText {
    Cron { expression: String, timezone: String },
    EveryMs(u64),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CatchUpText {
    Skip,
    #[default]
    Latest,
    All(NonZeroU32),
}

#[derive(Debug, Serialize, Deserialize)]
struct ExtraRun {
    task_id: TaskId,
    at: Timestamp,
}

/// A record that no version writes.
#[derive(Debug, thiserror::Error)]
#[error("the record of the schedule is not readable")]
struct Unreadable(#[source] Option<serde_json::Error>);

const fn default_max_attempts() -> NonZeroU32 {
    DEFAULT_MAX_ATTEMPTS
}

/// A hash of all that decides when a schedule is due and where its tasks go.
pub(super) fn timing(schedule: &Schedule) -> String {
    let timing = match &schedule.when {
        When::Cron { expression, timezone } => format!("c {expression}\n{timezone}"),
        When::Every { interval } => format!("e {}", limits::millis(*interval)),
    };
    let all = format!("{timing}\n{}\n{}", limits::millis(schedule.jitter), schedule.queue);
    data_hex(&Sha256::digest(all)[..8])
}

fn data_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The definition and the payload.
pub(super) fn write(schedule: &Schedule) -> Result<Vec<u8>, Error> {
    let mut text = json("schedule.put", &Definition::of(schedule))?.into_bytes();
    text.push(b'\n');
    text.extend_from_slice(&schedule.payload);
    Ok(text)
}

pub(super) fn write_extra_run(run: &ScheduleRun) -> Result<String, Error> {
    json("schedule.note", &ExtraRun { task_id: run.task_id, at: run.at })
}

pub(super) fn json(operation: &'static str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| unreadable(operation, Some(error)))
}

/// Reads a whole record.
pub(super) fn read(operation: &'static str, name: &ScheduleName, record: &Bytes) -> Result<ScheduleRecord, Error> {
    let malformed = || unreadable(operation, None);
    let mut lines = record.splitn(5, |byte| *byte == b'\n');
    let (Some(front), Some(log), Some(extra), Some(definition), Some(payload)) =
        (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return Err(malformed());
    };
    let front = std::str::from_utf8(front).map_err(|_| malformed())?;
    let mut fields = front.split(' ');
    let (Some(revision), Some(state), Some(slot), Some(created), Some(updated)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed());
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| malformed());
    let time = |text: &str| number(text).map(Timestamp::from_millis);
    let paused = state == PAUSED;
    let definition: Definition = parse(operation, definition)?;
    let extra: Option<ExtraRun> = if extra.is_empty() { None } else { Some(parse(operation, extra)?) };
    Ok(ScheduleRecord {
        schedule: definition.into_schedule(name.clone(), record.slice_ref(payload), paused),
        revision: number(revision)?,
        paused,
        slot: time(slot)?,
        created_at: time(created)?,
        updated_at: time(updated)?,
        log: if log.is_empty() { RunLog::default() } else { parse(operation, log)? },
        extra_run: extra.map(|run| ScheduleRun { task_id: run.task_id, slot: None, at: run.at }),
    })
}

fn parse<T: DeserializeOwned>(operation: &'static str, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|error| unreadable(operation, Some(error)))
}

fn unreadable(operation: &'static str, error: Option<serde_json::Error>) -> Error {
    Error::Store { operation, kind: ErrorKind::InvalidData, source: Box::new(Unreadable(error)) }
}

// === impl Definition ===

impl Definition {
    fn of(schedule: &Schedule) -> Self {
        let options = &schedule.options;
        let when = match &schedule.when {
            When::Cron { expression, timezone } => {
                WhenText::Cron { expression: expression.clone(), timezone: timezone.clone() }
            }
            When::Every { interval } => WhenText::EveryMs(limits::millis(*interval)),
        };
        Self {
            queue: schedule.queue.clone(),
            kind: schedule.kind.clone(),
            timing: Timing { when, jitter_ms: limits::millis(schedule.jitter) },
            catch_up: match schedule.catch_up {
                CatchUp::Skip => CatchUpText::Skip,
                CatchUp::Latest => CatchUpText::Latest,
                CatchUp::All { max } => CatchUpText::All(max),
            },
            priority: options.priority,
            timeout_ms: options.timeout.map(limits::millis),
            max_attempts: options.max_attempts,
            retry: options.retry.clone(),
            lease_ms: options.lease.map(limits::millis),
            user_id: options.user_id.clone(),
            project_id: options.project_id.clone(),
            tenant_id: options.tenant_id.clone(),
            tags: options.tags.clone(),
        }
    }

    fn into_schedule(self, name: ScheduleName, payload: Bytes, paused: bool) -> Schedule {
        Schedule {
            name,
            queue: self.queue,
            kind: self.kind,
            payload,
            options: ScheduleOptions {
                priority: self.priority,
                timeout: self.timeout_ms.map(Duration::from_millis),
                max_attempts: self.max_attempts,
                retry: self.retry,
                lease: self.lease_ms.map(Duration::from_millis),
                user_id: self.user_id,
                project_id: self.project_id,
                tenant_id: self.tenant_id,
                tags: self.tags,
            },
            when: match self.timing.when {
                WhenText::Cron { expression, timezone } => When::Cron { expression, timezone },
                WhenText::EveryMs(millis) => When::Every { interval: Duration::from_millis(millis) },
            },
            catch_up: match self.catch_up {
                CatchUpText::Skip => CatchUp::Skip,
                CatchUpText::Latest => CatchUp::Latest,
                CatchUpText::All(max) => CatchUp::All { max },
            },
            jitter: Duration::from_millis(self.timing.jitter_ms),
            paused: Some(paused),
        }
    }
}
