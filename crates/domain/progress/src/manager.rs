//! What users hold: the tracker.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use opentelemetry::KeyValue;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, EventId, EventKind, FinalStatus, NewOperation, ProgressEvent, ProgressId, ProgressStore, Snapshot,
    Update,
    change::Change,
    metrics::METRICS,
    stream::follow,
    writer::{Patience, Writer},
};

/// Operations that are written at the same time when the store is back.
const WRITTEN_AT_ONCE: usize = 16;
/// How long a shutdown waits for what is still buffered.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Tracks operations: steps, percentages, messages, log lines and the end, and streams of their events.
///
/// A clone is the same tracker. [`run`](Self::run) must be going in every process that writes: it tells the percentages
/// that were held back, and writes what was buffered while the store was away.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use futures::StreamExt;
/// use trackside_core::SystemClock;
/// use trackside_progress::*;
///
/// let store = MemoryProgressStore::new(Config::default(), Arc::new(SystemClock::default()));
/// let tracker = ProgressTracker::new(Arc::new(store), Config::default());
/// let id: ProgressId = "import-42".parse()?;
/// tracker.put(&id, NewOperation { steps: vec![StepSpec::named("read"), StepSpec::named("write")], ttl: None }).await?;
/// tracker.patch(&id, Update { step: Some("read".into()), percent: Some(100.0), ..Update::default() }).await?;
/// assert_eq!(tracker.get(&id).await?.unwrap().percent, 50.0);
/// tracker.finish(&id, FinalStatus::Completed, None).await?;
///
/// let kinds: Vec<EventKind> = tracker.events(&id, None).map(|event| event.kind).collect().await;
/// assert_eq!(kinds, [EventKind::Snapshot, EventKind::End]);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct ProgressTracker {
    inner: Arc<Inner>,
}

/// What became of an update that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is in the store.
    Written,
    /// A percentage that moved by little; it is told within [`Config::coalesce_for`], or by the next event.
    Coalesced,
    /// It was so already.
    Unchanged,
    /// The store is away; it is kept in this process and written when the store is back.
    Buffered,
    /// The store is away, and it was dropped to make room for later ones.
    Dropped,
}

/// Whether there is something to stream to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing is known of the operation: 404.
    Unknown,
    /// There is something, or there will be.
    Open,
    /// The client has everything: 204, so that it stops asking.
    Complete,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ProgressStore>,
    config: Config,
    writers: Mutex<HashMap<ProgressId, Arc<Writer>>>,
    /// Operations with something that [`ProgressTracker::run`] must write.
    unsettled: Mutex<HashSet<ProgressId>>,
    wake: Notify,
}

// === impl ProgressTracker ===

impl ProgressTracker {
    /// A tracker over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ProgressStore>, config: Config) -> Self {
        let inner =
            Inner { store, config, writers: Mutex::default(), unsettled: Mutex::default(), wake: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Starts an operation, or starts it over with other steps. Repeating it with the same steps while it runs changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the definition is wrong.
    pub async fn put(&self, id: &ProgressId, new: NewOperation) -> Result<Receipt, Error> {
        new.validate(&self.inner.config)?;
        self.change(id, Change::Start(new)).await
    }

    /// Starts an operation when nothing is known of it, and leaves it alone otherwise, ended ones too.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn ensure(&self, id: &ProgressId, new: NewOperation) -> Result<Receipt, Error> {
        new.validate(&self.inner.config)?;
        self.change(id, Change::Ensure(new)).await
    }

    /// Reports. A final status without a step ends the operation as [`finish`](Self::finish) does, without a result.
    ///
    /// Cancel-safe: an update whose future is dropped is written all the same, or not at all, never twice. With the
    /// store away it answers [`Receipt::Buffered`].
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Finished`], or [`Error::InvalidInput`] when a percentage is out of range or there is
    /// no such step.
    pub async fn patch(&self, id: &ProgressId, update: Update) -> Result<Receipt, Error> {
        update.validate()?;
        let end = if update.step.is_none() { update.status.and_then(crate::Status::as_final) } else { None };
        let Some(end) = end else { return self.change(id, Change::Update(update)).await };
        let last_words = Update { status: None, ..update };
        if last_words != Update::default() {
            self.change(id, Change::Update(last_words)).await?;
        }
        self.change(id, Change::Finish(end, None)).await
    }

    /// Adds a line to the operation's log. Lines are events only: they are not part of the state.
    ///
    /// # Errors
    /// As [`patch`](Self::patch).
    pub async fn log(&self, id: &ProgressId, line: impl Into<String>) -> Result<Receipt, Error> {
        self.change(id, Change::Log(line.into())).await
    }

    /// Publishes JSON as an event: `Progress` is read as an [`Update`], `Log` takes a string or `{"line"}`, and `State`
    /// keeps the value as [`Snapshot::state`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for other kinds (the end is told by [`finish`](Self::finish)) and for data of the wrong
    /// shape; otherwise as [`patch`](Self::patch).
    pub async fn publish(&self, id: &ProgressId, kind: EventKind, data: Value) -> Result<Receipt, Error> {
        let invalid = |reason: &str| Err(Error::InvalidInput { field: "data", reason: reason.to_owned() });
        match kind {
            EventKind::State => self.change(id, Change::State(data)).await,
            EventKind::Log => match data.as_str().or_else(|| data.get("line").and_then(Value::as_str)) {
                Some(line) => self.log(id, line).await,
                None => invalid("a log event is a string or has one as \"line\""),
            },
            EventKind::Progress => match serde_json::from_value::<Update>(data) {
                Ok(update) => self.patch(id, update).await,
                Err(error) => invalid(&error.to_string()),
            },
            _ => invalid("only progress, log and state events can be published"),
        }
    }

    /// Ends the operation; its streams end with it. Repeating it with the same status changes nothing. While the store is
    /// away the end is kept, whatever else has to be dropped.
    ///
    /// # Errors
    /// As [`patch`](Self::patch).
    pub async fn finish(&self, id: &ProgressId, status: FinalStatus, result: Option<Value>) -> Result<Receipt, Error> {
        self.change(id, Change::Finish(status, result)).await
    }

    /// How the operation stands, or `None` when nothing is known of it. With the store away, or not taking any writes, an
    /// operation that this process writes is answered from its memory.
    ///
    /// # Errors
    /// [`Error::Store`] when the store is away and this process does not know the operation.
    pub async fn get(&self, id: &ProgressId) -> Result<Option<Snapshot>, Error> {
        let told = self.inner.store.head(id).await.and_then(|head| Snapshot::after(&head.frames));
        let ours = match &told {
            Ok(None) => self.inner.unwritten(id),
            Err(error) if error.is_of_the_store() => self.writers().get(id).cloned(),
            Ok(Some(_)) | Err(_) => None,
        };
        let Some(ours) = ours else { return told };
        ours.local_snapshot().await.map_or(told, |local| Ok(Some(local)))
    }

    /// Whether there is something to stream to a client that has seen everything up to `after`. One round trip.
    ///
    /// # Errors
    /// [`Error::Store`]; a stream may be opened all the same, it waits for the store.
    pub async fn lookup(&self, id: &ProgressId, after: Option<EventId>) -> Result<Lookup, Error> {
        let head = self.inner.store.head(id).await?;
        let (Some(last), Some(snapshot)) = (head.frames.last(), Snapshot::after(&head.frames)?) else {
            // What only this process knows is not unknown: it is written when the store takes it.
            return Ok(if self.inner.is_unwritten(id) { Lookup::Open } else { Lookup::Unknown });
        };
        let has_everything = snapshot.status.is_final() && after == Some(last.id.next());
        Ok(if has_everything { Lookup::Complete } else { Lookup::Open })
    }

    /// The operation's events: a snapshot, then every later event, and [`EventKind::End`] last.
    ///
    /// With `after`, the events after that one instead of the snapshot, none missed and none twice; when that id is not
    /// kept any more, [`EventKind::Reset`] and a snapshot. Ids strictly increase. An operation that is unknown is waited
    /// for. A consumer that falls behind is never buffered without bound: it is caught up from the store. Dropping the
    /// stream frees everything.
    pub fn events(
        &self,
        id: &ProgressId,
        after: Option<EventId>,
    ) -> impl Stream<Item = ProgressEvent> + Send + use<> + 'static {
        let (inner, of) = (Arc::clone(&self.inner), id.clone());
        let is_unwritten = move || inner.is_unwritten(&of);
        follow(Arc::clone(&self.inner.store), self.inner.config.clone(), id.clone(), after, is_unwritten)
    }

    /// Tells held-back percentages and writes buffered updates until `shutdown`, and then once more.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut wait = self.inner.config.coalesce_for;
        loop {
            let next = async {
                self.inner.wake.notified().await;
                tokio::time::sleep(wait).await;
            };
            if shutdown.run_until_cancelled(next).await.is_none() {
                break;
            }
            wait = match self.settle().await {
                0 => self.inner.config.coalesce_for,
                _ => self.inner.config.retry,
            };
        }
        if tokio::time::timeout(LAST_WRITE, self.settle()).await != Ok(0) {
            let operations = self.unsettled().len();
            tracing::warn!(operations, "progress updates are lost: the store did not come back before the shutdown");
        }
    }

    /// Writes everything that is held back or buffered; answers how many operations still wait for the store.
    pub async fn settle(&self) -> usize {
        let ids: Vec<ProgressId> = self.unsettled().drain().collect();
        let settle = |id: ProgressId| async move {
            let Some(writer) = self.writers().get(&id).cloned() else { return };
            if writer.is_holding_back() {
                // Nobody waits for the outcome.
                drop(writer.push(Change::Settle, &self.inner.config));
            }
            writer.flush(self.inner.store.as_ref(), &self.inner.config, Patience::Ignore).await;
            self.after_write(&id, &writer);
        };
        stream::iter(ids).for_each_concurrent(WRITTEN_AT_ONCE, settle).await;
        self.unsettled().len()
    }

    async fn change(&self, id: &ProgressId, change: Change) -> Result<Receipt, Error> {
        let writer = self.writer(id);
        let mut outcome = writer.push(change, &self.inner.config);
        // Known to `run` before the first await, so that a dropped future does not strand the change.
        self.unsettled().insert(id.clone());
        self.inner.wake.notify_one();
        writer.flush(self.inner.store.as_ref(), &self.inner.config, Patience::Respect).await;
        self.after_write(id, &writer);
        match outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(_) => {
                METRICS.updates.add(1, &[KeyValue::new("outcome", "buffered")]);
                Ok(Receipt::Buffered)
            }
        }
    }

    /// Remembers a writer that still has something to write, forgets one that has nothing left to say.
    fn after_write(&self, id: &ProgressId, writer: &Arc<Writer>) {
        if !writer.is_idle() {
            self.unsettled().insert(id.clone());
            self.inner.wake.notify_one();
            return;
        }
        self.unsettled().remove(id);
        let mut writers = self.writers();
        // Two owners: the map and the caller. Nobody else can be about to push.
        if writer.is_finished() && Arc::strong_count(writer) == 2 {
            writers.remove(id);
        }
    }

    fn writer(&self, id: &ProgressId) -> Arc<Writer> {
        let mut writers = self.writers();
        if let Some(writer) = writers.get(id) {
            return Arc::clone(writer);
        }
        if writers.len() >= self.inner.config.writers.get() {
            writers.retain(|_, writer| Arc::strong_count(writer) > 1 || !writer.is_idle());
        }
        let writer = Arc::new(Writer::new(id.clone()));
        writers.insert(id.clone(), Arc::clone(&writer));
        writer
    }

    fn writers(&self) -> MutexGuard<'_, HashMap<ProgressId, Arc<Writer>>> {
        self.inner.writers()
    }

    fn unsettled(&self) -> MutexGuard<'_, HashSet<ProgressId>> {
        self.inner.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    /// Whether this process has something for the operation that the store does not have yet.
    fn is_unwritten(&self, id: &ProgressId) -> bool {
        self.unwritten(id).is_some()
    }

    /// The writer that has it.
    fn unwritten(&self, id: &ProgressId) -> Option<Arc<Writer>> {
        let writer = self.writers().get(id).cloned();
        writer.filter(|writer| !writer.is_idle())
    }

    fn writers(&self) -> MutexGuard<'_, HashMap<ProgressId, Arc<Writer>>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
