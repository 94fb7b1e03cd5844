//! What scripts must know of a task besides its level, lease and user, in a form that they read without decoding JSON.
//!
//! The attributes are the first entry of the header, `{"@":"t<tenant>;…"`: each a letter and a value, separated by `;`.
//! Values contain no `"`, `\`, `;`, `%` or byte outside printable ASCII; such bytes are written `%XX`.
//!
//! | letter | value |
//! |---|---|
//! | `s` | since when the task is ready, in milliseconds, where that is not when it was enqueued and its age counts |
//! | `g` | what it waits for: `f`, `c` or `x` (fail, continue, cancel), then ids, `<id>@<queue>` in other queues, with commas |
//! | `t` | tenant |
//! | `x` | the time after which it is not handed out any more |
//! | `u` | `s` until it starts or `d` until it is done, and the digest of its unique key |
//! | `r` | how long its final record is kept |

use std::fmt::Write;

use trackside_core::{TaskId, Timestamp};

use crate::{Dependency, NewTask, OnFailure, Unique, UniqueUntil, idempotency, limits};

/// The attributes of a new task; empty when scripts need not know more of it.
pub(super) fn write(task: &NewTask) -> String {
    let options = &task.options;
    let mut parts = Vec::new();
    if !options.depends_on.is_empty() {
        parts.push(format!("g{}", write_dependencies(&options.depends_on, options.on_failure)));
    }
    if let Some(tenant) = &options.tenant_id {
        parts.push(format!("t{}", encode(tenant)));
    }
    if let Some(at) = options.expires_at {
        parts.push(format!("x{}", limits::due(at).as_millis()));
    }
    if let Some(unique) = &options.unique {
        parts.push(write_unique(unique));
    }
    if let Some(retention) = options.retention {
        parts.push(format!("r{}", limits::millis(retention)));
    }
    parts.join(";")
}

/// The attribute of a unique key.
pub(super) fn write_unique(unique: &Unique) -> String {
    let until = match unique.until {
        UniqueUntil::Started => 's',
        UniqueUntil::Done => 'd',
    };
    format!("u{until}{:032x}", idempotency::digest(&unique.key))
}

/// When a task with these attributes expires.
pub(super) fn read_expiry(attributes: &str) -> Option<Timestamp> {
    let millis = attributes.split(';').find_map(|part| part.strip_prefix('x'))?.parse().ok()?;
    Some(Timestamp::from_millis(millis))
}

/// What a task waits for, or waited for.
pub(super) fn dependencies(attributes: &str) -> Vec<Dependency> {
    let Some(list) = attributes.split(';').find_map(|part| part.strip_prefix('g')) else { return Vec::new() };
    let read = |text: &str| {
        let (id, queue) = text.split_once('@').map_or((text, None), |(id, queue)| (id, queue.parse().ok()));
        Some(Dependency { id: TaskId::from_key(id).ok()?, queue })
    };
    list.get(1..).unwrap_or_default().split(',').filter_map(read).collect()
}

fn write_dependencies(list: &[Dependency], on_failure: OnFailure) -> String {
    let letter = match on_failure {
        OnFailure::Fail => 'f',
        OnFailure::Continue => 'c',
        OnFailure::Cancel => 'x',
    };
    let write = |it: &Dependency| match &it.queue {
        Some(queue) => format!("{}@{queue}", it.id.to_key()),
        None => it.id.to_key(),
    };
    format!("{letter}{}", list.iter().map(write).collect::<Vec<_>>().join(","))
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';' | b'%') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskOptions;

    #[test]
    fn a_tenant_is_written_so_that_a_pattern_finds_its_end() {
        let queue = "exports".parse().unwrap();
        let options = TaskOptions { tenant_id: Some("a;\"b\" ü%".into()), ..TaskOptions::default() };
        assert_eq!(write(&NewTask::new(&queue, "a.kind", "1").with(options)), "ta%3B%22b%22%20%C3%BC%25");
        assert_eq!(write(&NewTask::new(&queue, "a.kind", "1")), "");
    }

    #[test]
    fn what_scripts_must_know_is_written_in_one_order() {
        let queue = "exports".parse().unwrap();
        let options = TaskOptions {
            tenant_id: Some("acme".into()),
            expires_at: Some(Timestamp::from_millis(70)),
            unique: Some(Unique { key: "order-7".into(), until: UniqueUntil::Started }),
            retention: Some(std::time::Duration::ZERO),
            ..TaskOptions::default()
        };
        let written = write(&NewTask::new(&queue, "a.kind", "1").with(options));
        assert_eq!(written, format!("tacme;x70;us{:032x};r0", idempotency::digest("order-7")));
        assert_eq!(read_expiry(&written), Some(Timestamp::from_millis(70)));
        assert_eq!(read_expiry("tx1"), None);
    }

    #[test]
    fn dependencies_are_read_as_they_were_written() {
        let queue = "exports".parse().unwrap();
        let (here, there) = (TaskId::generate(&queue), TaskId::generate(&queue));
        let depends_on = vec![here.into(), Dependency { id: there, queue: Some("fox.".parse().unwrap()) }];
        let options = TaskOptions {
            depends_on: depends_on.clone(),
            on_failure: OnFailure::Cancel,
            tenant_id: Some("g;f".into()),
            ..TaskOptions::default()
        };
        let text = write(&NewTask::new(&queue, "a.kind", "{}").with(options));
        assert_eq!(text, format!("gx{},{}@fox.;tg%3Bf", here.to_key(), there.to_key()));
        assert_eq!(dependencies(&text), depends_on);
        assert_eq!(dependencies("tg"), []);
    }
}
