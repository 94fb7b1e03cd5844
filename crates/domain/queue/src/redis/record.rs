//! How a task is written down in Redis.
//!
//! ```text
//! record        <level><enqueued>[:<lease>] <user> <header>\n<payload>
//! final record  <finished> <state> <own>\n<first line of the record>\n<result or reason>
//! own           <fence>|<started>|<worker>|<user>\n<first line of the record>\n
//! ```
//! `level` is the first letter of the priority, `state` is `c` completed, `x` cancelled or `d` a purged dead letter,
//! times and durations are milliseconds. What scripts need of every task stands before the header, so that only a
//! task that failed, was given back or crashed has its header decoded there.
//!
//! A long payload or result is compressed, as `compress.rs` says.
//!
//! The header is JSON with short keys; what is not said has its default, and keys that a version does not know are
//! kept. `@` is always the first key; what it holds is described in `attributes.rs`.
//!
//! | key | holds | key | holds |
//! |---|---|---|---|
//! | `k` | kind | `tp` | traceparent |
//! | `m` | max attempts (3) | `a` | failed attempts (0) |
//! | `t` | timeout | `r` | why the last attempt failed |
//! | `b` | retry: `e<base>,<max>` `f<delay>` `l<delay>,…` (`e1000,60000`) | `s` `w` | start and worker of the last attempt |
//! | `j` `n` | project, tenant | `lf` `ls` | fence and state of the last settlement that did not end it |
//! | `c` | correlation id (the task's own) | `f` | 1 when a plain client pushed it |
//! | `h` | the last ten attempts that failed or crashed: `[attempt, started, ended, worker, error]` | | |
//! | `g` | tags | | |

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trackside_core::{CorrelationId, QueueName, TaskId, Timestamp, TraceParent, UserId};

use super::{attributes, compress};
use crate::{
    ClaimedTask, Config, DEFAULT_MAX_ATTEMPTS, EndedAttempt, Error, Fence, NewTask, PastAttempt, Priority, RetryPolicy,
    TaskState, TaskStatus, limits, manager::check_json,
};

/// A record, read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) priority: Priority,
    pub(super) enqueued_at: Timestamp,
    /// How long a lease on it lasts, where the producer said so.
    pub(super) lease: Option<Duration>,
    pub(super) user_id: Option<UserId>,
    pub(super) header: Header,
    /// As it is stored: [`Record::payload`] tells the text.
    stored: Bytes,
}

/// Who holds a task, or held it.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) started_at: Timestamp,
    pub(super) worker_id: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Header {
    /// First, where scripts find it.
    #[serde(rename = "@", default, skip_serializing_if = "String::is_empty")]
    attributes: String,
    #[serde(rename = "k")]
    pub(super) kind: String,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<NonZeroU32>,
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    failed: u32,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<CorrelationId>,
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Attempt, start, end, worker, error.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<(u32, u64, u64, String, String)>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    started_ms: Option<u64>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    worker_id: Option<String>,
    /// 1 when a plain client pushed it.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    foreign: u32,
}

/// What a record says beyond the reach of its reader, such as a text where a number belongs.
pub(super) const UNREADABLE: &str = "its record cannot be read";

// === impl Record ===

impl Record {
    /// The record of a new task without its level and time, which the script puts in front.
    pub(super) fn write(task: &NewTask, compress_above: usize) -> Result<Vec<u8>, serde_json::Error> {
        let options = &task.options;
        let header = Header {
            attributes: attributes::write(task),
            kind: task.kind.clone(),
            max_attempts: Some(options.max_attempts).filter(|max| *max != DEFAULT_MAX_ATTEMPTS),
            timeout_ms: options.timeout.map(limits::millis),
            retry: Some(&options.retry).filter(|policy| **policy != RetryPolicy::default()).map(write_policy),
            project_id: options.project_id.clone(),
            tenant_id: options.tenant_id.clone(),
            tags: options.tags.clone(),
            correlation_id: options.correlation_id.clone(),
            traceparent: options.traceparent.clone(),
            ..Header::default()
        };
        let lease = options.lease.map_or_else(String::new, |lease| format!(":{}", limits::millis(lease)));
        let mut record = format!("{lease} {} ", options.user_id.as_ref().map_or("", UserId::as_str)).into_bytes();
        serde_json::to_writer(&mut record, &header)?;
        record.push(b'\n');
        compress::pack(&mut record, &task.payload, compress_above);
        Ok(record)
    }

    pub(super) fn read(record: &Bytes) -> Option<Self> {
        let end = record.iter().position(|byte| *byte == b'\n')?;
        let Line { priority, enqueued_at, lease, user_id, header } = read_line(&record[..end])?;
        Some(Self { priority, enqueued_at, lease, user_id, header, stored: record.slice(end + 1..) })
    }

    /// The payload as it was handed in; where it cannot be read, what is stored in its place.
    pub(super) fn payload(&self) -> Bytes {
        compress::unpack(&self.stored).unwrap_or_else(|| self.stored.clone())
    }

    /// Why nobody can work on what a plain client pushed: scripts take for JSON what no handler could read, such as `NaN`
    /// or text that is not UTF-8, and know no limit.
    pub(super) fn objection(&self, config: &Config) -> Option<String> {
        if self.header.foreign == 0 {
            return None;
        }
        match check_json("payload", &self.stored, config) {
            Err(Error::InvalidTask { reason, .. }) => Some(format!("{reason}; pushed by a client that is not ours")),
            _ => None,
        }
    }

    /// The task as its claim hands it out; `None` when its payload cannot be read.
    pub(super) fn claimed(self, queue: &QueueName, claim: Claim) -> Option<ClaimedTask> {
        let payload = compress::unpack(&self.stored)?;
        let header = self.header;
        let lease = self.lease.unwrap_or(claim.lease);
        Some(ClaimedTask {
            id: claim.id,
            queue: queue.clone(),
            kind: header.kind,
            payload,
            priority: self.priority,
            attempt: header.failed.saturating_add(1),
            max_attempts: header.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
            crashes: claim.crashes,
            fence: claim.fence,
            lease_expires_at: claim.now.plus(lease),
            lease,
            enqueued_at: self.enqueued_at,
            timeout: header.timeout_ms.map(Duration::from_millis),
            depends_on: attributes::dependencies(&header.attributes),
            user_id: self.user_id,
            project_id: header.project_id,
            tenant_id: header.tenant_id,
            correlation_id: limits::correlation(claim.id, header.correlation_id.as_ref()),
            traceparent: header.traceparent,
        })
    }

    /// What may be asked about the task in this state.
    pub(super) fn status(self, queue: &QueueName, id: TaskId, state: TaskState, own: Option<Own>) -> TaskStatus {
        let header = self.header;
        // An attempt that is under way, or that ended the task, is counted beside those that failed.
        let attempts = header.failed.saturating_add(u32::from(own.is_some()));
        let (started_at, worker_id) = match own {
            Some(own) => (Some(own.started_at), Some(own.worker_id)),
            None => (header.started_ms.map(Timestamp::from_millis), header.worker_id),
        };
        TaskStatus {
            id,
            queue: queue.clone(),
            kind: header.kind,
            priority: self.priority,
            state,
            attempts,
            max_attempts: header.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
            enqueued_at: self.enqueued_at,
            due_at: None,
            started_at,
            finished_at: None,
            worker_id,
            result: None,
            error: header.error,
            history: header.history.into_iter().map(past_attempt).collect(),
            depends_on: attributes::dependencies(&header.attributes),
            user_id: self.user_id,
            project_id: header.project_id,
            tenant_id: header.tenant_id,
            expires_at: attributes::read_expiry(&header.attributes),
            tags: header.tags,
            correlation_id: limits::correlation(id, header.correlation_id.as_ref()),
            traceparent: header.traceparent,
        }
    }

    /// A record that cannot be read, as it is shown: all of it as the payload.
    pub(super) fn unreadable(record: Bytes) -> Self {
        let header = Header { kind: "unreadable".into(), error: Some(UNREADABLE.into()), ..Header::default() };
        let (priority, enqueued_at) = (Priority::Normal, Timestamp::from_millis(0));
        Self { priority, enqueued_at, lease: None, user_id: None, header, stored: record }
    }
}

/// What a claim adds to a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) id: TaskId,
    pub(super) fence: Fence,
    pub(super) crashes: u32,
    /// How long the lease lasts of a task that does not ask for one of its own.
    pub(super) lease: Duration,
    pub(super) now: Timestamp,
}

// === impl Own ===

impl Own {
    pub(super) fn read(own: &str) -> Option<Self> {
        let mut parts = own.splitn(4, '|');
        let (_fence, started, worker) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { started_at: Timestamp::from_millis(started.parse().ok()?), worker_id: worker.to_owned() })
    }
}

// === reading and writing ===

/// The attempt that an owner and the first line of its record tell; `None` where an older version left the line out.
pub(super) fn read_attempt(own: &Bytes) -> Option<EndedAttempt> {
    let first = own.iter().position(|byte| *byte == b'\n')?;
    let started_at = Own::read(std::str::from_utf8(&own[..first]).ok()?)?.started_at;
    let kind = Record::read(&own.slice(first + 1..))?.header.kind;
    Some(EndedAttempt { kind, started_at })
}

/// The status that a final record tells.
pub(super) fn read_final(queue: &QueueName, id: TaskId, record: &Bytes) -> Option<TaskStatus> {
    let first = record.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&record[..first]).ok()?.splitn(3, ' ');
    let finished_at = Timestamp::from_millis(words.next()?.parse().ok()?);
    let state = read_state(words.next()?)?;
    let own = Own::read(words.next()?);
    let rest = Record::read(&record.slice(first + 1..))?;
    let body = rest.payload();
    let mut status = rest.status(queue, id, state, own);
    status.finished_at = Some(finished_at);
    match state {
        TaskState::Completed => (status.result, status.error) = (Some(body).filter(|body| !body.is_empty()), None),
        TaskState::Cancelled => status.error = Some(String::from_utf8_lossy(&body).into_owned()),
        _ => {}
    }
    Some(status)
}

/// The letter that scripts write for a state.
pub(super) fn read_state(letter: &str) -> Option<TaskState> {
    match letter {
        "q" => Some(TaskState::Queued),
        "w" => Some(TaskState::Delayed),
        "g" => Some(TaskState::Waiting),
        "p" => Some(TaskState::Parked),
        "a" => Some(TaskState::Active),
        "c" => Some(TaskState::Completed),
        "f" => Some(TaskState::Failed),
        "d" => Some(TaskState::Dead),
        "x" => Some(TaskState::Cancelled),
        _ => None,
    }
}

/// The letter of a level.
pub(super) const fn level_letter(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "c",
        Priority::High => "h",
        Priority::Normal => "n",
        Priority::Low => "l",
    }
}

/// The level of a letter.
pub(super) fn read_level(letter: &str) -> Option<Priority> {
    Priority::ALL.into_iter().find(|priority| level_letter(*priority) == letter)
}

fn past_attempt((attempt, started, ended, worker_id, error): (u32, u64, u64, String, String)) -> PastAttempt {
    let (started_at, ended_at) = (Timestamp::from_millis(started), Timestamp::from_millis(ended));
    PastAttempt { attempt, started_at, ended_at, worker_id, error }
}

/// The first line of a record.
struct Line {
    priority: Priority,
    enqueued_at: Timestamp,
    lease: Option<Duration>,
    user_id: Option<UserId>,
    header: Header,
}

fn read_line(line: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.splitn(3, ' ');
    let (front, user, header) = (words.next()?, words.next()?, words.next()?);
    let priority = read_level(front.get(..1)?)?;
    let mut times = front.get(1..)?.split(':');
    let enqueued_at = Timestamp::from_millis(times.next()?.parse().ok()?);
    let lease = times.next().and_then(|lease| lease.parse().ok()).map(Duration::from_millis);
    Some(Line { priority, enqueued_at, lease, user_id: user.parse().ok(), header: serde_json::from_str(header).ok()? })
}

fn write_policy(policy: &RetryPolicy) -> String {
    let bounded = |ms: &u64| limits::millis(Duration::from_millis(*ms)).to_string();
    match policy {
        RetryPolicy::Exponential { base_ms, max_ms } => format!("e{},{}", bounded(base_ms), bounded(max_ms)),
        RetryPolicy::Fixed { delay_ms } => format!("f{}", bounded(delay_ms)),
        RetryPolicy::List { delays_ms } => format!("l{}", delays_ms.iter().map(bounded).collect::<Vec<_>>().join(",")),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskOptions;

    /// The record as the script completes it.
    fn written(options: TaskOptions) -> String {
        let queue = "exports".parse().unwrap();
        let task = NewTask { options, ..NewTask::new(&queue, "a.kind", "{\"a\":\n1}") };
        format!("h1700000000000{}", String::from_utf8(Record::write(&task, usize::MAX).unwrap()).unwrap())
    }

    #[test]
    fn defaults_are_not_written() {
        assert_eq!(written(TaskOptions::default()), "h1700000000000  {\"k\":\"a.kind\"}\n{\"a\":\n1}");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let options = TaskOptions {
            lease: Some(Duration::from_secs(60)),
            timeout: Some(Duration::from_millis(7)),
            max_attempts: NonZeroU32::MIN,
            retry: RetryPolicy::List { delays_ms: vec![1, u64::MAX] },
            user_id: Some("u|1".parse().unwrap()),
            project_id: Some("line\nbreak \"and quotes\"".into()),
            ..TaskOptions::default()
        };
        let text = written(options.clone());
        assert!(text.starts_with("h1700000000000:60000 u|1 {"), "{text}");
        assert!(text.contains("\"b\":\"l1,9999999999999\""), "{text}");
        let record = Record::read(&Bytes::from(text)).unwrap();
        assert_eq!((record.priority, record.enqueued_at.as_millis()), (Priority::High, 1_700_000_000_000));
        assert_eq!(record.payload(), "{\"a\":\n1}");
        assert_eq!((record.user_id, record.header.project_id), (options.user_id, options.project_id));
        assert_eq!((record.header.timeout_ms, record.header.max_attempts), (Some(7), Some(NonZeroU32::MIN)));
    }

    #[test]
    fn what_is_no_record_is_not_read_as_one() {
        for text in
            ["", "garbage", "n1 {}\n", "z1  {\"k\":\"a\"}\n", "nx  {\"k\":\"a\"}\n", "n1  {\"k\":7}\n", "\u{e4}1  {}\n"]
        {
            assert!(Record::read(&Bytes::from(text)).is_none(), "{text:?}");
        }
    }
}
