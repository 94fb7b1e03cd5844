//! What a task must look like to be accepted.

use std::time::Duration;

use serde::de::IgnoredAny;
use trackside_core::{QueueName, Timestamp};

use super::MIN_LEASE;
use crate::{Config, Due, Error, MAX_DEPENDENCIES, NewTask, RetryPolicy};

/// Longest kind, project id and tenant id, in bytes.
const MAX_LABEL: usize = 128;
/// Most tags of a task.
const MAX_TAGS: usize = 16;
/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 512;
/// Most delays in a list of them.
const MAX_DELAYS: usize = 64;
/// The farthest due time, and the longest of the other durations of a task.
const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

pub(crate) fn task(queue: &QueueName, task: &NewTask, config: &Config) -> Result<(), Error> {
    if !task.id.may_belong_to(queue) {
        return invalid("id", "it was made for another queue");
    }
    if !is_label(&task.kind) || !task.kind.is_ascii() {
        return invalid("kind", "1 to 128 printable ASCII characters");
    }
    json("payload", &task.payload, config)?;
    let options = &task.options;
    for (field, value) in [("project_id", &options.project_id), ("tenant_id", &options.tenant_id)] {
        if value.as_deref().is_some_and(|value| !is_label(value)) {
            return invalid(field, "1 to 128 bytes without control characters");
        }
    }
    if options.tags.len() > MAX_TAGS || options.tags.iter().any(|tag| !is_label(tag)) {
        return invalid("tags", "at most 16, each of 1 to 128 bytes without control characters");
    }
    if options.idempotency_key.as_deref().is_some_and(|key| !is_key(key)) {
        return invalid("idempotency_key", "1 to 512 printable ASCII characters");
    }
    if options.depends_on.len() > MAX_DEPENDENCIES {
        return invalid("depends_on", format!("{} tasks, at most {MAX_DEPENDENCIES}", options.depends_on.len()));
    }
    if options.depends_on.iter().any(|it| it.id == task.id) {
        return invalid("depends_on", "a task cannot wait for itself");
    }
    if options.unique.as_ref().is_some_and(|unique| !is_key(&unique.key)) {
        return invalid("unique", "a key of 1 to 512 printable ASCII characters");
    }
    if options.retention.is_some_and(|retention| retention > MAX_DURATION) {
        return invalid("retention_ms", "at most ten years");
    }
    if options.timeout.is_some_and(|timeout| timeout < Duration::from_millis(1) || timeout > MAX_DURATION) {
        return invalid("timeout_ms", "more than nothing and at most ten years");
    }
    if options.lease.is_some_and(|lease| lease < MIN_LEASE || lease > MAX_DURATION) {
        return invalid("lease_ms", "at least 100 ms and at most ten years");
    }
    let is_far = match options.due {
        Due::Now => false,
        Due::After(delay) => delay > MAX_DURATION,
        Due::At(at) => at > Timestamp::now().plus(MAX_DURATION),
    };
    if is_far {
        return invalid("run_at", "at most ten years ahead");
    }
    retry(&options.retry)
}

/// Checks that the bytes of a field are one JSON text of an acceptable length.
pub(crate) fn json(field: &'static str, bytes: &[u8], config: &Config) -> Result<(), Error> {
    if bytes.len() > config.max_payload_bytes {
        return invalid(field, format!("{} bytes, at most {}", bytes.len(), config.max_payload_bytes));
    }
    // What is skipped by `IgnoredAny` is not looked at as text.
    match std::str::from_utf8(bytes).map(serde_json::from_str::<IgnoredAny>) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => invalid(field, format!("not JSON: {error}")),
        Err(error) => invalid(field, format!("not JSON: {error}")),
    }
}

fn retry(policy: &RetryPolicy) -> Result<(), Error> {
    let longest_ms = match policy {
        RetryPolicy::Exponential { base_ms, max_ms } => *base_ms.max(max_ms),
        RetryPolicy::Fixed { delay_ms } => *delay_ms,
        RetryPolicy::List { delays_ms } if delays_ms.len() > MAX_DELAYS => {
            return invalid("retry", format!("{} delays, at most {MAX_DELAYS}", delays_ms.len()));
        }
        RetryPolicy::List { delays_ms } => delays_ms.iter().copied().max().unwrap_or(0),
    };
    if Duration::from_millis(longest_ms) > MAX_DURATION {
        return invalid("retry", "delays of at most ten years");
    }
    Ok(())
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn invalid(field: &'static str, reason: impl Into<String>) -> Result<(), Error> {
    Err(Error::InvalidTask { field, reason: reason.into() })
}
