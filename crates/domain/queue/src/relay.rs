//! Carries messages from queue to queue: whoever runs it, and however often it dies, each has its effect once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, WorkerId};

use crate::{Delivery, Error, MAX_BATCH, OutboxMessage, OutboxRequest, QueueManager};

/// How long a relay has its turn at a queue without asking again.
const TURN: Duration = Duration::from_secs(5);
/// How often all queues are looked at, whether something was heard of them or not.
const SWEEP: Duration = Duration::from_secs(10);
/// The wait before messages that could not be delivered are tried again; it doubles up to [`SWEEP`].
const AGAIN: Duration = Duration::from_millis(250);

/// Delivers what queues have to say to each other: dependencies across queues, and the next tasks of a completion that
/// are for other queues (Q-L24).
///
/// Every process that works on queues may run one; they share the work. A message is written down with what causes it
/// and removed when it has been delivered, so that one whose relay dies is delivered by the next, and a message that is
/// delivered twice is heard once.
///
/// ```
/// use std::sync::Arc;
/// use tokio_util::sync::CancellationToken;
/// use trackside_core::{QueueName, SystemClock};
/// use trackside_queue::{
///     Config, LeaseRequest, MemoryQueueStore, NewTask, OutboxRelay, QueueManager, TaskOptions, TaskState,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
/// let queues = QueueManager::new(Arc::new(store), Config::default());
/// let (pages, books): (QueueName, QueueName) = ("pages".parse()?, "books".parse()?);
/// let page = NewTask::new(&pages, "page.render", "1");
/// let book = NewTask::new(&books, "book.bind", "{}")
///     .with(TaskOptions { depends_on: vec![page.id.into()], ..TaskOptions::default() });
/// let id = book.id;
/// queues.enqueue(&pages, page).await?;
/// assert_eq!(queues.enqueue(&books, book).await?.state, TaskState::Waiting);
///
/// let shutdown = CancellationToken::new();
/// let relay = tokio::spawn(OutboxRelay::new(queues.clone()).run(shutdown.clone()));
/// let request = LeaseRequest { worker_id: "w-1".parse()?, max_tasks: 1, lease: None, wait: std::time::Duration::ZERO };
/// let leased = queues.lease(&pages, request).await?.remove(0);
/// queues.ack(leased.id, leased.fence, None).await?;
/// while queues.status(id).await?.is_some_and(|status| status.state != TaskState::Queued) {
///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
/// }
/// shutdown.cancel();
/// relay.await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct OutboxRelay {
    queues: QueueManager,
    id: WorkerId,
}

/// The queues of this process that were heard to have messages.
#[derive(Debug, Default)]
pub(crate) struct Outboxes {
    heard_of: Mutex<BTreeSet<QueueName>>,
    heard: Notify,
}

/// What came of a look at a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumped {
    /// Nothing is left.
    Dry,
    /// Another relay has its turn, for this long at most.
    Busy(Duration),
    /// Some messages could not be delivered.
    Blocked,
}

/// Queues that must not be looked at before a time, whatever is heard of them.
#[derive(Debug, Default)]
struct Later {
    queues: BTreeMap<QueueName, Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

// === impl Outboxes ===

impl Outboxes {
    /// Notes that a queue has something to say.
    pub(crate) fn note(&self, queue: &QueueName) {
        let mut heard_of = self.heard_of.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard_of.contains(queue) {
            heard_of.insert(queue.clone());
        }
        drop(heard_of);
        self.heard.notify_one();
    }

    fn take(&self) -> BTreeSet<QueueName> {
        std::mem::take(&mut *self.heard_of.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Later ===

impl Later {
    fn is_too_early(&self, queue: &QueueName) -> bool {
        self.queues.get(queue).is_some_and(|pause| pause.until > Instant::now())
    }

    /// What follows from a look at a queue.
    fn note(&mut self, queue: QueueName, pumped: Result<Pumped, Error>) {
        let length = match pumped {
            Ok(Pumped::Dry) => {
                self.queues.remove(&queue);
                return;
            }
            // Whoever has it goes on until nothing is left, or dies.
            Ok(Pumped::Busy(turn)) => turn,
            Ok(Pumped::Blocked) => self.longer(&queue),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(queue.name = %queue, error, "messages to other queues wait for the store");
                self.longer(&queue)
            }
        };
        self.queues.insert(queue, Pause { until: Instant::now() + length, length });
    }

    fn longer(&self, queue: &QueueName) -> Duration {
        self.queues.get(queue).map_or(AGAIN, |pause| (pause.length * 2).min(SWEEP))
    }

    fn next(&self) -> Option<Instant> {
        self.queues.values().map(|pause| pause.until).min()
    }

    fn due(&self) -> impl Iterator<Item = QueueName> {
        let now = Instant::now();
        self.queues.iter().filter(move |(_, pause)| pause.until <= now).map(|(queue, _)| queue.clone())
    }
}

// === impl OutboxRelay ===

impl OutboxRelay {
    /// A relay of these queues. It does nothing until it is run.
    #[must_use]
    pub fn new(queues: QueueManager) -> Self {
        Self { queues, id: WorkerId::generate("relay") }
    }

    /// Delivers until `shutdown` is cancelled. Never fails because the store is away. Cancel-safe: what was not delivered
    /// is delivered by whoever comes next.
    pub async fn run(self, shutdown: CancellationToken) {
        let working = async {
            let (mut due, mut later, mut swept) = (self.all().await, Later::default(), Instant::now());
            loop {
                for queue in due {
                    if !later.is_too_early(&queue) {
                        let pumped = self.pump(&queue).await;
                        later.note(queue, pumped);
                    }
                }
                let next = later.next().map_or(swept + SWEEP, |next| next.min(swept + SWEEP));
                let outboxes = self.queues.outboxes();
                // Both outcomes mean the same: look again.
                let _either = tokio::time::timeout_at(next, outboxes.heard.notified()).await;
                due = outboxes.take();
                due.extend(later.due());
                if swept.elapsed() >= SWEEP {
                    swept = Instant::now();
                    due.extend(self.all().await);
                }
            }
        };
        shutdown.run_until_cancelled(working).await;
    }

    async fn all(&self) -> BTreeSet<QueueName> {
        match self.queues.queues().await {
            Ok(queues) => queues.into_iter().collect(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "queues cannot be listed; their messages wait");
                BTreeSet::new()
            }
        }
    }

    /// Delivers all that a queue has to say, in its order: what follows a message that cannot be delivered to the same
    /// queue waits, and so does a task that depends on one of that queue.
    async fn pump(&self, queue: &QueueName) -> Result<Pumped, Error> {
        let (mut delivered, mut after, mut unheard) = (Vec::new(), 0, BTreeSet::new());
        loop {
            let request = OutboxRequest { relay: self.id.clone(), turn: TURN, delivered, after };
            let page = self.queues.store().outbox(queue, &request).await?;
            if let Some(turn) = page.busy {
                return Ok(Pumped::Busy(turn));
            }
            delivered = Vec::new();
            if page.last.is_none() && !page.is_pending {
                return Ok(if unheard.is_empty() { Pumped::Dry } else { Pumped::Blocked });
            }
            after = page.last.unwrap_or(after);
            let mut messages = VecDeque::from(page.messages);
            while let Some((to, batch)) = next_batch(&mut messages, &unheard) {
                if batch[0].comes_after(&unheard) || !self.deliver(queue, &to, &batch).await {
                    unheard.insert(to);
                } else {
                    delivered.extend(batch.iter().map(|message| message.number));
                }
            }
        }
    }

    /// Answers whether they were heard.
    async fn deliver(&self, from: &QueueName, to: &QueueName, batch: &[OutboxMessage]) -> bool {
        if batch.iter().any(|message| message.delivery == Delivery::Unknown) {
            tracing::warn!(queue.name = %to, from = %from, "a message waits for a later version of this program");
            return false;
        }
        let delivery = async {
            self.queues.meet(to).await?;
            self.queues.store().deliver(to, from, batch).await
        };
        match delivery.await {
            Ok(has_outbox) => {
                if has_outbox {
                    self.queues.outboxes().note(to);
                }
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(queue.name = %to, from = %from, error, "messages cannot be delivered yet");
                false
            }
        }
    }
}

/// The next messages that are for the same queue, as many as one call may carry; all of them, or none, must wait for what
/// is unheard.
fn next_batch(
    messages: &mut VecDeque<OutboxMessage>,
    unheard: &BTreeSet<QueueName>,
) -> Option<(QueueName, Vec<OutboxMessage>)> {
    let first = messages.pop_front()?;
    let (to, must_wait, mut edges) = (first.to.clone(), first.comes_after(unheard), first.edges());
    let mut batch = vec![first];
    while let Some(next) = messages.front() {
        edges += next.edges();
        if next.to != to || next.comes_after(unheard) != must_wait || edges > MAX_BATCH {
            break;
        }
        batch.extend(messages.pop_front());
    }
    Some((to, batch))
}
