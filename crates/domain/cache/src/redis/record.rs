//! What Redis answers about an entry, as an entry.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use trackside_core::ErrorKind;
use trackside_redis::{Reply, compress};

use crate::{Error, NewEntry, Stamp, StoredEntry};

/// The record beside a value.
#[derive(Debug, PartialEq)]
struct Record<'t> {
    version: u64,
    stale: Duration,
    kind: &'t str,
    stamp: Stamp,
    content_type: Option<&'t str>,
}

/// What is stored cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) &'static str);

/// The letter of a value, or of a known absence.
pub(super) fn kind(entry: &NewEntry) -> &'static str {
    if entry.value.is_some() { "v" } else { "n" }
}

/// The bytes that are stored for an entry.
pub(super) fn stored_value(entry: &NewEntry, compress_above: usize) -> Bytes {
    match &entry.value {
        None => Bytes::new(),
        Some(value) if compress::is_plain(value, compress_above) => value.clone(),
        Some(value) => {
            let mut stored = Vec::new();
            compress::pack(&mut stored, value, compress_above);
            stored.into()
        }
    }
}

/// An entry from its value, its record and the milliseconds that it has left.
pub(super) fn entry(
    operation: &'static str,
    value: Reply,
    record: Reply,
    left: i64,
) -> Result<Option<StoredEntry>, Error> {
    let in_operation = |error: trackside_redis::Error| super::failed(operation, error);
    let Some(value) = value.into_option() else { return Ok(None) };
    let value = value.into_bytes().map_err(in_operation)?;
    let record = match record.into_option() {
        Some(record) => record.into_bytes().map_err(in_operation)?,
        None => Bytes::new(),
    };
    let kept_for = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
    let unpacked = || {
        let unreadable = || invalid(operation, "a compressed value is broken");
        compress::unpack(&value).ok_or_else(unreadable)
    };
    // Without a record, or after our deletion, another program wrote the value.
    let Some(record) = std::str::from_utf8(&record).ok().and_then(Record::read).filter(|record| record.kind != "d")
    else {
        let value = Some(unpacked()?);
        let (content_type, stamp) = (None, Stamp::default());
        return Ok(Some(StoredEntry { value, content_type, version: 0, fresh_for: kept_for, kept_for, stamp }));
    };
    Ok(Some(StoredEntry {
        value: if record.kind == "n" { None } else { Some(unpacked()?) },
        content_type: record.content_type.map(Arc::from),
        version: record.version,
        fresh_for: kept_for.saturating_sub(record.stale),
        kept_for,
        stamp: record.stamp,
    }))
}

pub(super) fn invalid(operation: &'static str, what: &'static str) -> Error {
    Error::Store { operation, kind: ErrorKind::InvalidData, source: Arc::new(Unreadable(what)) }
}

// === impl Record ===

impl<'t> Record<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let mut words = text.splitn(7, ' ');
        let mut next = || words.next();
        let (version, _ttl, stale, kind, _writer, stamp) = (next()?, next()?, next()?, next()?, next()?, next()?);
        Some(Self {
            version: version.parse().ok()?,
            stale: Duration::from_millis(stale.parse().ok()?),
            kind,
            stamp: stamp.parse().ok()?,
            content_type: next().filter(|text| *text != "-"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static [u8], record: &'static str, left: i64) -> StoredEntry {
        entry("test", Reply::Bytes(value.into()), Reply::Bytes(record.into()), left).unwrap().unwrap()
    }

    #[test]
    fn a_record_tells_how_long_a_value_is_fresh_and_what_it_bears() {
        let entry = read(b"{}", "17 1000 500 v ff a=3,b=4 text/plain; charset=utf-8", 900);
        assert_eq!((entry.version, entry.fresh_for.as_millis(), entry.kept_for.as_millis()), (17, 400, 900));
        assert_eq!(entry.content_type.as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(entry.stamp.tags().len(), 2);
        assert!(!read(b"{}", "17 1000 500 v ff - -", 500).is_fresh());
        assert_eq!(read(b"", "17 1000 500 n ff - -", 900).value, None);
    }

    #[test]
    fn what_another_program_wrote_has_no_version_and_is_fresh_while_it_is_there() {
        for record in ["", "17 1 0 d ff - -", "nonsense"] {
            let entry = read(b"{\"a\":1}", record, -1);
            assert_eq!((entry.version, entry.value.as_deref()), (0, Some(&b"{\"a\":1}"[..])));
            assert!(entry.is_fresh());
        }
    }

    #[test]
    fn a_broken_value_is_an_error_and_no_panic() {
        let broken = entry("test", Reply::Bytes(b"\x01abc".as_slice().into()), Reply::Nil, 5);
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
