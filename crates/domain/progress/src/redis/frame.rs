//! Frames as stream entries and as messages.

use std::sync::Arc;

use trackside_redis::{Command, Reply};

use super::failed;
use crate::{Error, EventId, EventKind, Frame, LiveSignal, ProgressId};

/// What stands for "no id before it" in a message.
const NONE: &str = "-";

/// An entry as the server tells it: its id, and fields and values in turn.
pub(super) struct Entry {
    id: String,
    fields: Vec<Reply>,
}

// === impl Entry ===

impl Entry {
    pub(super) fn read(reply: Reply) -> Result<Self, Error> {
        let [id, fields] = reply.into_array_of::<2>().map_err(failed("progress.read"))?;
        let id = id.into_string().map_err(failed("progress.read"))?;
        Ok(Self { id, fields: fields.into_array().map_err(failed("progress.read"))? })
    }

    pub(super) fn into_frame(self) -> Result<Frame, Error> {
        let (mut kind, mut data, mut keyframe) = (None, None, None);
        let mut fields = self.fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let name = name.into_string().map_err(failed("progress.read"))?;
            let value = value.into_string().map_err(failed("progress.read"))?;
            match name.as_str() {
                "k" => kind = EventKind::from_stored(&value),
                "d" => data = Some(Arc::<str>::from(value)),
                "s" => keyframe = Some(Arc::<str>::from(value)),
                _ => {}
            }
        }
        let (Some(kind), Some(data)) = (kind, data) else {
            return Err(Error::invalid_data("progress.read", format!("the entry {} is no event of ours", self.id)));
        };
        if kind == EventKind::Snapshot {
            keyframe = Some(Arc::clone(&data));
        }
        Ok(Frame { id: self.id.parse()?, kind, data, keyframe })
    }
}

/// The keyframe, unless the data is the same.
pub(super) fn stored_keyframe(frame: &Frame) -> Option<&Arc<str>> {
    frame.keyframe.as_ref().filter(|_| frame.kind != EventKind::Snapshot)
}

/// The command with the frame's fields.
pub(super) fn fields(command: Command, frame: &Frame) -> Command {
    let command = command.arg("k").arg(frame.kind.as_str()).arg("d").arg(&*frame.data);
    match stored_keyframe(frame) {
        Some(keyframe) => command.arg("s").arg(&**keyframe),
        None => command,
    }
}

/// The message that tells of a frame.
pub(super) fn payload(id: &ProgressId, previous: Option<EventId>, frame: &Frame) -> String {
    let previous = previous.map_or_else(|| NONE.to_owned(), |previous| previous.to_string());
    format!("{id} {} {previous} {} {}", frame.id, frame.kind, frame.data)
}

/// The operation that a message is about, and the rest of it.
pub(super) fn split_payload(payload: &[u8]) -> Option<(ProgressId, &str)> {
    let (id, rest) = std::str::from_utf8(payload).ok()?.split_once(' ')?;
    Some((id.parse().ok()?, rest))
}

/// The rest of a message as a signal.
pub(super) fn signal(rest: &str) -> Option<LiveSignal> {
    let mut words = rest.splitn(4, ' ');
    let id = words.next()?.parse().ok()?;
    let previous = match words.next()? {
        NONE => None,
        id => Some(id.parse().ok()?),
    };
    let kind = EventKind::from_stored(words.next()?)?;
    Some(LiveSignal::Frame { previous, frame: Frame { id, kind, data: words.next()?.into(), keyframe: None } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        let id: ProgressId = "import-42".parse().unwrap();
        for previous in [None, Some(EventId { epoch: 7, seq: 3 })] {
            let frame = Frame {
                id: EventId { epoch: 7, seq: 4 },
                kind: EventKind::Log,
                data: r#"{"line":"a b  c"}"#.into(),
                keyframe: None,
            };
            let text = payload(&id, previous, &frame);
            let (told, rest) = split_payload(text.as_bytes()).unwrap();
            assert_eq!(told, id);
            assert_eq!(signal(rest), Some(LiveSignal::Frame { previous, frame }));
        }
        assert!(signal("1-1 - nonsense {}").is_none() && split_payload(b"\xff").is_none());
    }
}
