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
    /// Milliseconds of the server's clock.
    fresh_until: i64,
    stale: Duration,
    kind: &'t str,
    stamp: Stamp,
    content_type: Option<&'t str>,
}

/// What Redis has under the names of an entry.
struct Stored {
    value: Bytes,
    /// Empty when there is none.
    record: Bytes,
}

/// What a plain read found, by the time that the server has at the latest.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    /// Nothing, or an entry that is fresh.
    Sure(Option<StoredEntry>),
    /// An entry that may be stale: the server has to be asked.
    Doubtful,
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
    let Some(stored) = Stored::of(operation, value, record)? else { return Ok(None) };
    let kept_for = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
    let record = stored.record();
    let fresh_for = kept_for.saturating_sub(record.as_ref().map_or(Duration::ZERO, |record| record.stale));
    stored.entry(operation, record, fresh_for, kept_for).map(Some)
}

/// An entry from its value and its record alone, `now` being milliseconds of the server's clock, or a little later.
pub(super) fn plain(operation: &'static str, value: Reply, record: Reply, now: i64) -> Result<Plain, Error> {
    let Some(stored) = Stored::of(operation, value, record)? else { return Ok(Plain::Sure(None)) };
    let record = stored.record();
    let (fresh_for, kept_for) = match &record {
        // While it is there, it is fresh.
        None => (Duration::MAX, Duration::MAX),
        Some(record) => {
            let left = u64::try_from(record.fresh_until.saturating_sub(now)).unwrap_or_default();
            if left == 0 {
                return Ok(Plain::Doubtful);
            }
            let fresh_for = Duration::from_millis(left);
            (fresh_for, fresh_for.saturating_add(record.stale))
        }
    };
    stored.entry(operation, record, fresh_for, kept_for).map(|entry| Plain::Sure(Some(entry)))
}

pub(super) fn invalid(operation: &'static str, what: &'static str) -> Error {
    Error::Store { operation, kind: ErrorKind::InvalidData, source: Arc::new(Unreadable(what)) }
}

// === impl Stored ===

impl Stored {
    fn of(operation: &'static str, value: Reply, record: Reply) -> Result<Option<Self>, Error> {
        let bytes = |reply: Reply| reply.into_option().map(Reply::into_bytes).transpose();
        let parts = || Ok((bytes(value)?, bytes(record)?.unwrap_or_default()));
        let (value, record) = parts().map_err(|error| super::failed(operation, error))?;
        Ok(value.map(|value| Self { value, record }))
    }

    /// The record; without one, or after our deletion, another program wrote the value.
    fn record(&self) -> Option<Record<'_>> {
        std::str::from_utf8(&self.record).ok().and_then(Record::read).filter(|record| record.kind != "d")
    }

    fn entry(
        &self,
        operation: &'static str,
        record: Option<Record<'_>>,
        fresh_for: Duration,
        kept_for: Duration,
    ) -> Result<StoredEntry, Error> {
        let value = match &record {
            Some(record) if record.kind == "n" => None,
            _ => {
                let unreadable = || invalid(operation, "a compressed value is broken");
                Some(compress::unpack(&self.value).ok_or_else(unreadable)?)
            }
        };
        let (content_type, version, stamp) = match record {
            Some(record) => (record.content_type.map(Arc::from), record.version, record.stamp),
            None => (None, 0, Stamp::default()),
        };
        Ok(StoredEntry { value, content_type, version, fresh_for, kept_for, stamp })
    }
}

// === impl Record ===

impl<'t> Record<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let mut words = text.splitn(7, ' ');
        let mut next = || words.next();
        let (version, fresh_until, stale) = (next()?, next()?, next()?);
        let (kind, _writer, stamp) = (next()?, next()?, next()?);
        Some(Self {
            version: version.parse().ok()?,
            fresh_until: fresh_until.parse().ok()?,
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
    fn a_plain_read_is_sure_of_nothing_but_what_is_fresh_at_the_latest_time_that_it_may_be() {
        let at = |now| {
            let record = Reply::Bytes("17 1000 500 v ff - -".into());
            plain("test", Reply::Bytes("{}".into()), record, now).unwrap()
        };
        let Plain::Sure(Some(entry)) = at(900) else { panic!("{:?}", at(900)) };
        assert_eq!((entry.version, entry.fresh_for.as_millis(), entry.kept_for.as_millis()), (17, 100, 600));
        assert_eq!((at(1_000), at(9_000)), (Plain::Doubtful, Plain::Doubtful));
        assert_eq!(plain("test", Reply::Nil, Reply::Nil, 0).unwrap(), Plain::Sure(None));
        let Plain::Sure(Some(foreign)) = plain("test", Reply::Bytes("1".into()), Reply::Nil, 0).unwrap() else {
            panic!("the value of another program is there")
        };
        assert_eq!((foreign.version, foreign.fresh_for), (0, Duration::MAX));
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
