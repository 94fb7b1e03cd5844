//! What Redis holds of an entry, and what comes over the channel, read from any bytes.

use tokio::time::Instant;
use trackside_redis::Reply;

use super::{message::Message, numbers::Numbers, record};

/// The record up to the first newline, then the value.
pub(crate) fn entry(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (record, value) = bytes.split_at(end);
    let replies = || (Reply::Bytes(value.to_vec().into()), Reply::Bytes(record.to_vec().into()));
    for left in [i64::MIN, -1, 0, 1_000, i64::MAX] {
        let (value, record) = replies();
        if let Ok(Some(entry)) = record::entry("cache.fuzz", value, record, left) {
            assert!(entry.fresh_for <= entry.kept_for, "{entry:?}");
        }
        let (value, record) = replies();
        let _plain = record::plain("cache.fuzz", value, record, left);
    }
}

/// A message on each line.
pub(crate) fn messages(bytes: &[u8]) {
    let (mut numbers, now) = (Numbers::default(), Instant::now());
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(message) = Message::read(line, 1) {
            numbers.hear(message.source, message.number, now);
        }
    }
    let _missing = numbers.is_any_missing(now + std::time::Duration::from_secs(60));
}
