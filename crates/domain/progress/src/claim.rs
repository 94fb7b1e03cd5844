//! An operation that this process has taken over: its state, and the frames that changes make of it.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;
use trackside_core::Timestamp;

use crate::{
    Append, Config, Error, EventId, EventKind, Frame, Head, ProgressId, Receipt, Snapshot, WriterId,
    change::{Applied, Change, json},
    metrics::METRICS,
    store::MAX_FRAMES,
    writer::Waiting,
};

/// What a writer knows since it took the operation over.
#[derive(Debug)]
pub(crate) struct Claim {
    writer: WriterId,
    /// The last id in the store; `None` when the operation is not there.
    pub(crate) last: Option<EventId>,
    next: EventId,
    /// The state with everything applied.
    pub(crate) snapshot: Option<Snapshot>,
    /// The state as the events tell it; it lags behind while percentages are held back.
    told: Option<Snapshot>,
    /// The reports that are held back, to be applied anew when the operation is lost to another writer.
    pub(crate) held: Vec<Change>,
    /// Frames since the last keyframe.
    since_keyframe: usize,
    /// The store's clock at the takeover, and this process' clock then.
    clock: (Timestamp, Instant),
    /// When the last frame was written.
    written: Option<Instant>,
    /// When the time to live was set.
    ttl_set: Option<Instant>,
}

/// Frames whose answer is not known yet. They are sent again as they are (P-L3).
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) append: Append,
    /// The change behind each frame, to be applied anew when the frame was fenced.
    pub(crate) changes: Vec<Option<Waiting>>,
    pub(crate) after: After,
}

/// What the claim becomes when the frames are written.
#[derive(Debug)]
pub(crate) struct After {
    pub(crate) snapshot: Option<Snapshot>,
    told: Option<Snapshot>,
    held: Vec<Change>,
    since_keyframe: usize,
}

/// Frames in the making.
pub(crate) struct Draft<'a> {
    id: &'a ProgressId,
    config: &'a Config,
    now: Timestamp,
    previous: Option<EventId>,
    next: EventId,
    /// True when enough time has passed for a percentage to be told by itself.
    is_due: bool,
    after: After,
    frames: Vec<Frame>,
    changes: Vec<Option<Waiting>>,
}

// === impl Claim ===

impl Claim {
    /// Takes the operation over. What the store has lost is brought back from `lost`, unless it had ended.
    pub(crate) fn new(head: &Head, lost: Option<Self>) -> Result<Self, Error> {
        let last = head.frames.last().map(|frame| frame.id);
        let stored = Snapshot::after(&head.frames)?;
        let known = lost.filter(|_| last.is_none()).and_then(|lost| lost.snapshot);
        let epoch = head.now.as_millis().max(last.map_or(1, |last| last.epoch.saturating_add(1)));
        Ok(Self {
            writer: WriterId(rand::random()),
            last,
            next: EventId::first(epoch),
            told: stored.clone(),
            snapshot: stored.or_else(|| known.filter(|known| !known.status.is_final())),
            held: Vec::new(),
            since_keyframe: usize::MAX,
            clock: (head.now, Instant::now()),
            written: None,
            ttl_set: None,
        })
    }

    /// True when the store may have forgotten the operation by now.
    pub(crate) fn is_stale(&self, config: &Config) -> bool {
        let ttl = self.snapshot.as_ref().map_or(config.ttl, |snapshot| snapshot.ttl(config));
        self.ttl_set.unwrap_or(self.clock.1).elapsed() >= ttl
    }

    /// True when a percentage waits to be told.
    pub(crate) fn is_holding_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// The frames are in the store.
    pub(crate) fn commit(&mut self, append: &Append, after: After) {
        if let Some(last) = append.frames.last() {
            self.last = Some(last.id);
            self.next = last.id.next();
        }
        let now = Instant::now();
        self.written = Some(now);
        if append.ttl.is_some() {
            self.ttl_set = Some(now);
        }
        self.take(after);
    }

    fn take(&mut self, after: After) {
        self.snapshot = after.snapshot;
        self.told = after.told;
        self.held = after.held;
        self.since_keyframe = after.since_keyframe;
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(crate) fn new(id: &'a ProgressId, claim: &Claim, config: &'a Config) -> Result<Self, Error> {
        let (then, since) = claim.clock;
        let mut draft = Self {
            id,
            config,
            now: then.plus(since.elapsed()),
            previous: claim.last,
            next: claim.next,
            is_due: claim.written.is_none_or(|written| written.elapsed() >= config.coalesce_for),
            after: After {
                snapshot: claim.snapshot.clone(),
                told: claim.told.clone(),
                held: claim.held.clone(),
                since_keyframe: claim.since_keyframe,
            },
            frames: Vec::new(),
            changes: Vec::new(),
        };
        if let (None, None, Some(snapshot)) = (claim.last, &claim.told, &claim.snapshot) {
            // The store has lost it: readers start from the whole state.
            let data = json("snapshot", snapshot)?;
            draft.push(EventKind::Snapshot, data, None);
        }
        Ok(draft)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.frames.len() < MAX_FRAMES
    }

    /// True when the change starts an operation over that has ended: its events may not follow in the same epoch.
    pub(crate) fn needs_new_epoch(&self, change: &Change) -> bool {
        let has_ended = self.after.snapshot.as_ref().is_some_and(|snapshot| snapshot.status.is_final());
        let is_fresh = self.frames.is_empty() && self.next.seq == 1;
        matches!(change, Change::Start(_)) && has_ended && !is_fresh
    }

    /// Applies a change. Its author hears at once when it is refused or needs no event.
    pub(crate) fn add(&mut self, waiting: Waiting) {
        let mut state = self.after.snapshot.clone();
        let applied = waiting.change.apply(self.id, &mut state, self.after.told.as_ref(), self.now, self.config);
        match applied {
            Err(error) => waiting.answer(Err(error)),
            Ok(Applied::Nothing) => {
                self.after.snapshot = state;
                waiting.answer(Ok(Receipt::Unchanged));
            }
            Ok(Applied::Event { kind, data }) => {
                self.after.snapshot = state;
                self.push(kind, data, Some(waiting));
            }
            Ok(Applied::PercentOnly) => {
                let told = self.after.told.as_ref().map_or(0.0, |told| told.percent);
                let moved = state.as_ref().map_or(0.0, |state| state.percent) - told;
                self.after.snapshot = state;
                if moved >= self.config.coalesce_percent || (self.is_due && self.frames.is_empty()) {
                    self.settle(waiting);
                } else {
                    self.after.held.retain(|held| !held.is_replaced_by(&waiting.change));
                    self.after.held.push(waiting.change.clone());
                    METRICS.updates.add(1, &[KeyValue::new("outcome", "coalesced")]);
                    waiting.answer(Ok(Receipt::Coalesced));
                }
            }
        }
    }

    /// What is to be sent, or `None` when nothing is; then the claim has taken everything in already.
    pub(crate) fn finish(self, claim: &mut Claim) -> Option<Sent> {
        if self.frames.is_empty() {
            claim.take(self.after);
            return None;
        }
        let ttl = self.after.snapshot.as_ref().map_or(self.config.ttl, |snapshot| snapshot.ttl(self.config));
        let tells_all = |frame: &Frame| matches!(frame.kind, EventKind::Snapshot | EventKind::Result);
        let is_old = claim.ttl_set.is_none_or(|set| set.elapsed() >= ttl / 10);
        let renew = is_old || self.frames.iter().any(tells_all);
        let append = Append {
            writer: claim.writer,
            previous: self.previous,
            frames: self.frames,
            ttl: if renew { Some(ttl) } else { None },
        };
        Some(Sent { append, changes: self.changes, after: self.after })
    }

    /// Tells everything that was held back.
    fn settle(&mut self, waiting: Waiting) {
        let mut state = self.after.snapshot.clone();
        match Change::Settle.apply(self.id, &mut state, self.after.told.as_ref(), self.now, self.config) {
            Ok(Applied::Event { kind, data }) => {
                self.after.snapshot = state;
                self.push(kind, data, Some(waiting));
            }
            Ok(_) => waiting.answer(Ok(Receipt::Unchanged)),
            Err(error) => waiting.answer(Err(error)),
        }
    }

    /// Makes a frame; its author hears when it is written.
    fn push(&mut self, kind: EventKind, data: Arc<str>, waiting: Option<Waiting>) {
        let keyframe = match self.keyframe(kind, &data) {
            Ok(keyframe) => keyframe,
            Err(error) => {
                if let Some(waiting) = waiting {
                    waiting.answer(Err(error));
                }
                return;
            }
        };
        self.after.since_keyframe = if keyframe.is_some() { 0 } else { self.after.since_keyframe.saturating_add(1) };
        if kind != EventKind::Log {
            self.after.told = self.after.snapshot.clone();
            self.after.held.clear();
        }
        self.frames.push(Frame { id: self.next, kind, data, keyframe });
        self.changes.push(waiting);
        self.next = self.next.next();
    }

    /// The whole state, for the frames that carry it.
    fn keyframe(&self, kind: EventKind, data: &Arc<str>) -> Result<Option<Arc<str>>, Error> {
        let is_last = kind == EventKind::Result;
        let is_due = self.after.since_keyframe.saturating_add(1) >= self.config.keyframe_every.get();
        match &self.after.snapshot {
            Some(_) if kind == EventKind::Snapshot => Ok(Some(Arc::clone(data))),
            // A log line tells nothing of percentages that are held back, so what it carries is what was told.
            _ if kind == EventKind::Log && is_due => {
                self.after.told.as_ref().map(|told| json("keyframe", told)).transpose()
            }
            Some(snapshot) if is_last || is_due => json("keyframe", snapshot).map(Some),
            _ => Ok(None),
        }
    }
}
