//! What scripts must know of a task besides its level, lease and user, in a form that they read without decoding JSON.
//!
//! The attributes are the first entry of the header, `{"@":"t<tenant>;…"`: each a letter and a value, separated by `;`.
//! Values contain no `"`, `\`, `;`, `%` or byte outside printable ASCII; such bytes are written `%XX`.
//!
//! | letter | value |
//! |---|---|
//! | `s` | since when the task is ready, in milliseconds, where that is not when it was enqueued and its age counts |
//! | `t` | tenant |
//! | `x` | the time after which it is not handed out any more |
//! | `u` | `s` until it starts or `d` until it is done, and the digest of its unique key |
//! | `r` | how long its final record is kept |

use std::fmt::Write;

use trackside_core::Timestamp;

use crate::{NewTask, Unique, UniqueUntil, idempotency, limits};

/// The attributes of a new task; empty when scripts need not know more of it.
pub(super) fn write(task: &NewTask) -> String {
    let options = &task.options;
    let mut parts = Vec::new();
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
}
