//! Following an operation: register first, then read, then listen, and let ids decide what is new.

use std::sync::Arc;

use futures::Stream;
use serde_json::json;

use crate::{
    Config, Error, EventId, EventKind, Frame, LiveSignal, ProgressEvent, ProgressId, ProgressStore, Snapshot, Status,
    metrics::METRICS, store::MAX_FRAMES,
};

/// Looks at a vanished operation before its stream ends: its writer may be bringing it back.
const LOOKS_AT_NOTHING: u32 = 2;

pub(crate) fn follow(
    store: Arc<dyn ProgressStore>,
    config: Config,
    id: ProgressId,
    after: Option<EventId>,
    is_unwritten: impl Fn() -> bool + Send + 'static,
) -> impl Stream<Item = ProgressEvent> + Send + 'static {
    async_stream::stream! {
        let _open = OpenStream::count();
        let mut feed = store.listen(&id);
        let mut follower = Follower { store, id, cursor: after, is_first_look: true, looks_at_nothing: 0, ended: false };
        let mut degraded = false;
        let mut behind = true;
        while !follower.ended {
            if behind {
                match follower.catch_up().await {
                    // The store answers and does not take what this process has of the operation.
                    Ok(caught_up) if caught_up.is_nothing && is_unwritten() => {
                        if !degraded {
                            yield notice(EventKind::Degraded, json!({"reason": "unwritten"}));
                        }
                        degraded = true;
                        behind = false;
                    }
                    Ok(caught_up) => {
                        degraded = false;
                        behind = caught_up.more;
                        for event in caught_up.events {
                            yield event;
                        }
                        continue;
                    }
                    Err(error) => {
                        if !degraded {
                            tracing::debug!(
                                progress.id = %follower.id,
                                error = &error as &dyn std::error::Error,
                                "a progress stream waits for the store"
                            );
                            yield notice(EventKind::Degraded, json!({"reason": error.kind()}));
                        }
                        degraded = true;
                        behind = false;
                    }
                }
            }
            let patience = if degraded { config.retry } else { config.recheck };
            match tokio::time::timeout(patience, feed.next()).await {
                Err(_) | Ok(LiveSignal::Gap) => behind = true,
                Ok(LiveSignal::Lost) => {
                    if !degraded {
                        yield notice(EventKind::Degraded, json!({"reason": "unavailable"}));
                    }
                    degraded = true;
                }
                Ok(LiveSignal::Frame { previous, frame }) => {
                    behind = degraded || follower.has_missed(previous, &frame);
                    if !behind {
                        for event in follower.take(frame) {
                            yield event;
                        }
                    }
                }
            }
        }
    }
}

/// One client's place in an operation.
struct Follower {
    store: Arc<dyn ProgressStore>,
    id: ProgressId,
    /// The last event that the client has.
    cursor: Option<EventId>,
    is_first_look: bool,
    looks_at_nothing: u32,
    ended: bool,
}

struct CaughtUp {
    events: Vec<ProgressEvent>,
    /// True when there is more to read at once.
    more: bool,
    /// True when the store knows nothing of the operation.
    is_nothing: bool,
}

/// Counts an open stream until it is dropped.
struct OpenStream;

// === impl Follower ===

impl Follower {
    /// Reads what the client does not have.
    async fn catch_up(&mut self) -> Result<CaughtUp, Error> {
        let is_first_look = std::mem::take(&mut self.is_first_look);
        let mut is_kept = false;
        if let Some(cursor) = self.cursor
            && let Some(frames) = self.store.read_after(&self.id, cursor).await?
        {
            self.looks_at_nothing = 0;
            is_kept = true;
            // A client that comes back with the last event may have missed only the end, which is no frame.
            if !frames.is_empty() || !is_first_look {
                let more = frames.len() >= MAX_FRAMES;
                let events = frames.into_iter().flat_map(|frame| self.take(frame)).collect();
                return Ok(CaughtUp { events, more, is_nothing: false });
            }
        }
        let head = self.store.head(&self.id).await?;
        let state = Snapshot::after(&head.frames)?;
        let mut events = Vec::new();
        match (state, head.frames.last()) {
            // It went on between the two reads.
            (Some(_), Some(last)) if is_kept && Some(last.id) != self.cursor => {
                return Ok(CaughtUp { events, more: true, is_nothing: false });
            }
            (Some(state), Some(last)) => self.start_from(&state, last, &mut events)?,
            _ => {
                self.look_at_nothing(&mut events);
                return Ok(CaughtUp { is_nothing: events.is_empty(), events, more: false });
            }
        }
        Ok(CaughtUp { events, more: false, is_nothing: false })
    }

    /// The whole state, unless the client has it.
    fn start_from(&mut self, state: &Snapshot, last: &Frame, events: &mut Vec<ProgressEvent>) -> Result<(), Error> {
        self.looks_at_nothing = 0;
        let has_end = state.status.is_final() && self.cursor == Some(last.id.next());
        if self.cursor != Some(last.id) && !has_end {
            if self.cursor.is_some() {
                METRICS.resets.add(1, &[]);
                events.push(notice(EventKind::Reset, json!({"reason": "what was seen last is not kept any more"})));
            }
            let data = crate::change::json("snapshot", state)?;
            events.push(ProgressEvent { id: Some(last.id), kind: EventKind::Snapshot, data });
            self.cursor = Some(last.id);
        }
        if state.status.is_final() {
            events.push(self.end(last.id, state.status));
        }
        Ok(())
    }

    /// An operation that is not there: not yet when nothing was seen of it, not any more otherwise.
    fn look_at_nothing(&mut self, events: &mut Vec<ProgressEvent>) {
        self.looks_at_nothing += 1;
        if self.cursor.is_some() && self.looks_at_nothing > LOOKS_AT_NOTHING {
            self.ended = true;
            events.push(notice(EventKind::End, json!({"reason": "the operation is forgotten"})));
        }
    }

    /// True when the store must be read before this frame can be told.
    fn has_missed(&self, previous: Option<EventId>, frame: &Frame) -> bool {
        let is_new = self.cursor.is_none_or(|cursor| frame.id > cursor);
        // The first thing a client gets is a snapshot.
        is_new && (previous != self.cursor || (self.cursor.is_none() && frame.kind != EventKind::Snapshot))
    }

    /// Tells a frame, unless the client has it.
    fn take(&mut self, frame: Frame) -> Vec<ProgressEvent> {
        if self.ended || self.cursor.is_some_and(|cursor| frame.id <= cursor) {
            return Vec::new();
        }
        self.cursor = Some(frame.id);
        let end = if frame.kind == EventKind::Result { Some(self.end(frame.id, status_of(&frame))) } else { None };
        std::iter::once(frame.into()).chain(end).collect()
    }

    /// The event after the last frame. Its id follows from that frame's, so nothing has to be stored for it.
    fn end(&mut self, last: EventId, status: Status) -> ProgressEvent {
        self.ended = true;
        self.cursor = Some(last.next());
        let data = json!({"status": status}).to_string().into();
        ProgressEvent { id: self.cursor, kind: EventKind::End, data }
    }
}

// === impl OpenStream ===

impl OpenStream {
    fn count() -> Self {
        METRICS.streams.add(1, &[]);
        Self
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        METRICS.streams.add(-1, &[]);
    }
}

/// An event about the stream itself: it carries no id, so that a client never resumes after it.
fn notice(kind: EventKind, data: serde_json::Value) -> ProgressEvent {
    ProgressEvent { id: None, kind, data: data.to_string().into() }
}

fn status_of(result: &Frame) -> Status {
    #[derive(serde::Deserialize)]
    struct Ended {
        status: Status,
    }
    // Whoever wrote the frame wrote a status into it; what cannot be read did not end well.
    serde_json::from_str(&result.data).map_or(Status::Failed, |Ended { status }| status)
}
