//! What Redis holds of a schedule, read from any bytes.

use bytes::Bytes;

use super::record;

pub(crate) fn record(bytes: &[u8]) {
    let Ok(name) = "fuzzed".parse() else { return };
    let Ok(read) = record::read("schedule.fuzz", &name, &Bytes::copy_from_slice(bytes)) else { return };
    let written = record::write(&read.schedule);
    assert!(written.is_ok_and(|written| written.ends_with(&read.schedule.payload)), "{read:?}");
}
