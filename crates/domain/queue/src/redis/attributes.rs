//! What scripts must know of a task besides its level, lease and user, in a form that they read without decoding JSON.
//!
//! The attributes are the first entry of the header, `{"@":"t<tenant>;…"`: each a letter and a value, separated by `;`.
//! Values contain no `"`, `\`, `;`, `%` or byte outside printable ASCII; such bytes are written `%XX`.
//!
//! | letter | value |
//! |---|---|
//! | `t` | tenant |

use std::fmt::Write;

use crate::NewTask;

/// The attributes of a new task; empty when scripts need not know more of it.
pub(super) fn write(task: &NewTask) -> String {
    let options = &task.options;
    let mut parts = Vec::new();
    if let Some(tenant) = &options.tenant_id {
        parts.push(format!("t{}", encode(tenant)));
    }
    parts.join(";")
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
}
