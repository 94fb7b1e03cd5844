//! Stream entries and messages, read from any bytes.

use super::frame::{Entry, payload, signal, split_payload};
use crate::LiveSignal;

pub(crate) fn entry(bytes: &[u8]) {
    let frame = Entry::read(trackside_redis::fuzzing::reply(bytes)).and_then(Entry::into_frame);
    if let Ok(frame) = frame {
        assert_eq!(frame.id.to_string().parse(), Ok(frame.id));
    }
}

/// What is read of a message is what it would be written as.
pub(crate) fn message(bytes: &[u8]) {
    let Some((id, rest)) = split_payload(bytes) else { return };
    let Some(LiveSignal::Frame { previous, frame }) = signal(rest) else { return };
    let written = payload(&id, previous, &frame);
    let read = split_payload(written.as_bytes()).and_then(|(_, rest)| signal(rest));
    assert_eq!(read, Some(LiveSignal::Frame { previous, frame }), "{written}");
}
