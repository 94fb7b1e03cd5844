//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use trackside_core::fuzzing::Target;

#[cfg(feature = "redis")]
use crate::redis::fuzzing as redis;
use crate::{EventId, EventKind, Frame, ProgressId, Snapshot};

/// Each reader with its name.
pub const TARGETS: &[Target] = &[
    ("progress_frames", frames),
    ("progress_ids", ids),
    #[cfg(feature = "redis")]
    ("progress_entry", redis::entry),
    #[cfg(feature = "redis")]
    ("progress_message", redis::message),
];

fn ids(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<ProgressId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<EventId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.next() >= id, "{id}");
    }
}

/// `<kind> <data>` on each line, as the frames that a reader starts from.
fn frames(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let said = text.lines().filter_map(|line| line.split_once(' '));
    let kinds = said.filter_map(|(kind, data)| Some((EventKind::from_stored(kind)?, data)));
    let frames: Vec<Frame> = (1..).zip(kinds).map(|(seq, (kind, data))| frame(seq, kind, data)).collect();
    if let Ok(Some(snapshot)) = Snapshot::after(&frames) {
        assert!(serde_json::to_string(&snapshot).is_ok(), "{snapshot:?}");
    }
}

fn frame(seq: u64, kind: EventKind, data: &str) -> Frame {
    let data: std::sync::Arc<str> = data.into();
    let keyframe = (kind == EventKind::Snapshot).then(|| std::sync::Arc::clone(&data));
    Frame { id: EventId { epoch: 1, seq }, kind, data, keyframe }
}
