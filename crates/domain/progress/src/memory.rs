//! The store inside the process: same laws, nothing survives a restart.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::broadcast;
use trackside_core::Clock;

use crate::{
    Append, Appended, Config, Error, EventId, Frame, Head, LiveFeed, LiveSignal, ProgressId, ProgressStore, WriterId,
    store::MAX_FRAMES,
};

/// Operations looked at for expiry on each append, so that forgetting costs no scan.
const SWEPT_PER_APPEND: usize = 4;
/// Signals that a feed holds before it overflows.
const FEED_CAPACITY: usize = 64;

/// Keeps operations in the memory of this process.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_progress::{Config, MemoryProgressStore, ProgressTracker};
/// let config = Config::default();
/// let store = MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default()));
/// let tracker = ProgressTracker::new(Arc::new(store), config);
/// # let _ = tracker;
/// ```
#[derive(Debug)]
pub struct MemoryProgressStore {
    config: Config,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    operations: HashMap<ProgressId, Operation>,
    /// Operations in the order in which they are looked at for expiry.
    sweep: VecDeque<ProgressId>,
    feeds: HashMap<ProgressId, broadcast::Sender<LiveSignal>>,
}

#[derive(Debug)]
struct Operation {
    frames: VecDeque<Frame>,
    last: EventId,
    /// Who began the last epoch.
    writer: WriterId,
    /// By the monotonic clock.
    expires: Duration,
}

// === impl MemoryProgressStore ===

impl MemoryProgressStore {
    /// An empty store.
    #[must_use]
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ProgressStore for MemoryProgressStore {
    async fn head(&self, id: &ProgressId) -> Result<Head, Error> {
        let now = self.clock.now();
        let frames = self.inner().live(id, self.clock.monotonic()).map(Operation::head).unwrap_or_default();
        Ok(Head { now, frames })
    }

    async fn append(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error> {
        let now = self.clock.monotonic();
        let mut inner = self.inner();
        inner.sweep(now);
        let answer = inner.append(id, append, now, self.config.history.get());
        if let Some(feed) = inner.feeds.get(id) {
            let stored = match answer {
                Appended::Stored => append.frames.len(),
                Appended::Fenced { .. } => 0,
            };
            let mut previous = append.previous;
            for frame in append.frames.iter().take(stored) {
                // Nobody listening is not a failure: the frame is kept for whoever comes.
                let _ = feed.send(LiveSignal::Frame { previous, frame: frame.clone() });
                previous = Some(frame.id);
            }
        }
        Ok(answer)
    }

    async fn read_after(&self, id: &ProgressId, after: EventId) -> Result<Option<Vec<Frame>>, Error> {
        let now = self.clock.monotonic();
        Ok(self.inner().live(id, now).and_then(|operation| {
            let at = operation.frames.binary_search_by_key(&after, |frame| frame.id).ok()?;
            Some(operation.frames.iter().skip(at + 1).take(MAX_FRAMES).cloned().collect())
        }))
    }

    fn listen(&self, id: &ProgressId) -> LiveFeed {
        let mut inner = self.inner();
        if inner.feeds.len() % 64 == 63 {
            inner.feeds.retain(|_, feed| feed.receiver_count() > 0);
        }
        let feed = inner.feeds.entry(id.clone()).or_insert_with(|| broadcast::channel(FEED_CAPACITY).0);
        LiveFeed::of(feed, None)
    }
}

// === impl Inner ===

impl Inner {
    fn live(&self, id: &ProgressId, now: Duration) -> Option<&Operation> {
        self.operations.get(id).filter(|operation| operation.expires > now)
    }

    fn append(&mut self, id: &ProgressId, append: &Append, now: Duration, history: usize) -> Appended {
        if self.live(id, now).is_none() {
            self.operations.remove(id);
            if append.previous.is_some() {
                return Appended::Fenced { stored: 0 };
            }
        }
        let Some(operation) = self.operations.get_mut(id) else {
            let Some(last) = append.frames.last() else { return Appended::Stored };
            let operation = Operation {
                frames: append.frames.iter().cloned().collect(),
                last: last.id,
                writer: append.writer,
                expires: now + append.ttl.unwrap_or_default(),
            };
            self.operations.insert(id.clone(), operation);
            self.sweep.push_back(id.clone());
            return Appended::Stored;
        };
        operation.append(append, now, history)
    }

    fn sweep(&mut self, now: Duration) {
        for _ in 0..SWEPT_PER_APPEND.min(self.sweep.len()) {
            let Some(id) = self.sweep.pop_front() else { return };
            match self.operations.get(&id) {
                Some(operation) if operation.expires > now => self.sweep.push_back(id),
                _ => drop(self.operations.remove(&id)),
            }
        }
    }
}

// === impl Operation ===

impl Operation {
    fn head(&self) -> Vec<Frame> {
        let keyframe = self.frames.iter().rposition(|frame| frame.keyframe.is_some()).unwrap_or(0);
        self.frames.iter().skip(keyframe).cloned().collect()
    }

    fn append(&mut self, append: &Append, now: Duration, history: usize) -> Appended {
        let mine = !append.begins_epoch() || append.writer == self.writer;
        let is_there = |frame: &&Frame| mine && self.frames.binary_search_by_key(&frame.id, |kept| kept.id).is_ok();
        let stored = append.frames.iter().take_while(is_there).count();
        let rest = &append.frames[stored..];
        let Some(first) = rest.first() else { return Appended::Stored };
        let previous = if stored == 0 { append.previous } else { append.frames.get(stored - 1).map(|frame| frame.id) };
        if previous != Some(self.last) || first.id <= self.last {
            return Appended::Fenced { stored };
        }
        if append.begins_epoch() {
            self.writer = append.writer;
        }
        for frame in rest {
            self.last = frame.id;
            self.frames.push_back(frame.clone());
        }
        self.trim(history);
        if let Some(ttl) = append.ttl {
            self.expires = now + ttl;
        }
        Appended::Stored
    }

    /// Drops what is older than the history, as far as a later keyframe remains.
    fn trim(&mut self, history: usize) {
        while self.frames.len() > history && self.frames.iter().skip(1).any(|frame| frame.keyframe.is_some()) {
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use trackside_core::ManualClock;

    use super::*;

    #[tokio::test]
    async fn forgotten_operations_leave_memory_while_others_are_written() {
        let clock = ManualClock::default();
        let store = MemoryProgressStore::new(Config::default(), Arc::new(clock.clone()));
        let append = |epoch| Append {
            writer: WriterId(1),
            previous: None,
            frames: vec![Frame {
                id: EventId::first(epoch),
                kind: crate::EventKind::Snapshot,
                data: "{}".into(),
                keyframe: Some("{}".into()),
            }],
            ttl: Some(Duration::from_secs(1)),
        };
        for n in 0..50 {
            store.append(&format!("op-{n}").parse().unwrap(), &append(1)).await.unwrap();
        }
        clock.advance(Duration::from_secs(2));
        for n in 50..63 {
            store.append(&format!("op-{n}").parse().unwrap(), &append(1)).await.unwrap();
        }
        let inner = store.inner();
        assert_eq!((inner.operations.len(), inner.sweep.len()), (13, 13));
        assert!(inner.operations.values().all(|operation| operation.frames.len() == 1));
    }
}
