//! Keeps what the server knows of our subscriptions the same as what callers want.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fred::{
    prelude::{EventInterface, Value},
    types::{Message, MessageKind},
};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    GapReason, Subscription,
    inbox::Inbox,
    registry::{Registry, SubscriptionId, Topic, TopicKind},
    wire::{self, Outcome},
};
use crate::{
    Config, Error, Operation,
    driver::settings::Purpose,
    link::{Link, LinkState},
    metrics::Metrics,
};

/// How subscriptions are made.
pub(crate) struct Hub {
    requests: mpsc::UnboundedSender<Request>,
    next_id: AtomicU64,
    capacity: usize,
    deadline: Duration,
}

/// What a caller wants changed.
pub(super) enum Request {
    Add { id: SubscriptionId, inbox: Arc<Inbox>, topics: Vec<Topic> },
    Remove(SubscriptionId),
}

/// The task that talks to the server.
struct Keeper {
    link: Arc<Link>,
    registry: Arc<Mutex<Registry>>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    deadline: Duration,
}

// === impl Hub ===

impl Hub {
    pub(crate) fn start(
        config: &Config,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, Error> {
        let link = Arc::new(Link::new(config, Purpose::Subscriber)?);
        let (requests, inbound) = mpsc::unbounded_channel();
        let deadline = config.command_timeout;
        let keeper = Keeper { link, registry: Arc::default(), metrics, tasks: tasks.clone(), deadline };
        tasks.spawn(keeper.run(inbound, shutdown.clone()));
        Ok(Self { requests, next_id: AtomicU64::new(0), capacity: config.subscription_buffer.get(), deadline })
    }

    pub(crate) fn subscribe(&self, kind: TopicKind, names: Vec<String>) -> Result<Subscription, Error> {
        let operation = || Operation::new("redis.subscribe");
        let mut names = names;
        names.sort_unstable();
        names.dedup();
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(Error::invalid_input(operation(), "a channel must be named"));
        }
        let topics = names.into_iter().map(|name| (kind, Arc::from(name))).collect();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let inbox = Arc::new(Inbox::new(self.capacity));
        let request = Request::Add { id, inbox: Arc::clone(&inbox), topics };
        self.requests.send(request).map_err(|_| Error::invalid_input(operation(), "the service is shut down"))?;
        Ok(Subscription::new(id, inbox, self.requests.clone(), self.deadline))
    }
}

// === impl Keeper ===

impl Keeper {
    async fn run(self, mut requests: mpsc::UnboundedReceiver<Request>, shutdown: CancellationToken) {
        // A process that subscribes to nothing needs no connection for it.
        let first = tokio::select! {
            () = shutdown.cancelled() => return,
            first = requests.recv() => first,
        };
        let mut link = self.link.watch();
        let messages = dispatch(self.link.client().message_rx(), Arc::clone(&self.registry), Arc::clone(&self.metrics));
        self.tasks.spawn(Arc::clone(&self.link).run(self.tasks.clone(), shutdown.clone()));
        let work = async {
            let mut known = link.borrow_and_update().clone();
            if let Some(first) = first {
                self.handle(first, &known).await;
            }
            loop {
                tokio::select! {
                    biased;
                    changed = link.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let state = link.borrow_and_update().clone();
                        if state.problem.is_some() || state.epoch != known.epoch {
                            self.registry().forget_confirmations();
                        }
                        known = state;
                        if known.problem.is_none() {
                            self.subscribe(self.registry_topics()).await;
                        }
                    }
                    request = requests.recv() => match request {
                        Some(request) => self.handle(request, &known).await,
                        None => return,
                    },
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = messages => {}
            () = work => {}
        }
        requests.close();
        while let Ok(request) = requests.try_recv() {
            if let Request::Add { id, inbox, topics } = request {
                self.registry().add(id, inbox, topics);
            }
        }
        self.registry().close();
    }

    /// Does what a caller wants as far as the connection is known: one that has come up since is told of in a moment, and would
    /// be taken for another one if topics were asked for before.
    async fn handle(&self, request: Request, known: &LinkState) {
        match request {
            Request::Add { id, inbox, topics } => {
                let missing = self.registry().add(id, inbox, topics);
                if missing.is_empty() {
                    // Others have them already.
                    self.confirmed(&[]);
                } else if known.problem.is_none() {
                    self.subscribe(missing).await;
                }
            }
            Request::Remove(id) => {
                let unwanted = self.registry().remove(id);
                self.unsubscribe(unwanted).await;
            }
        }
    }

    /// Asks for topics, and for each alone where a batch is refused, so that one forbidden channel takes no other down.
    async fn subscribe(&self, topics: Vec<Topic>) {
        for batch in batches(&topics) {
            match wire::subscribe(self.link.client(), batch, self.deadline).await {
                Outcome::Done => self.confirmed(batch),
                Outcome::Broken(error) => return self.broken(&error),
                Outcome::Refused(error) if batch.len() == 1 => self.refused(batch, &error).await,
                Outcome::Refused(_) => {
                    for topic in batch.chunks(1) {
                        match wire::subscribe(self.link.client(), topic, self.deadline).await {
                            Outcome::Done => self.confirmed(topic),
                            Outcome::Refused(error) => self.refused(topic, &error).await,
                            Outcome::Broken(error) => return self.broken(&error),
                        }
                    }
                }
            }
        }
    }

    async fn unsubscribe(&self, topics: Vec<Topic>) {
        if !self.link.is_up() {
            return;
        }
        for batch in batches(&topics) {
            match wire::unsubscribe(self.link.client(), batch, self.deadline).await {
                Outcome::Done => {}
                Outcome::Refused(error) | Outcome::Broken(error) => return self.broken(&error),
            }
        }
    }

    fn confirmed(&self, topics: &[Topic]) {
        let gaps = self.registry().confirm(topics, self.deadline * 2);
        for _ in 0..gaps {
            self.metrics.gap(GapReason::Reconnected.as_str());
        }
    }

    async fn refused(&self, topics: &[Topic], error: &Error) {
        for topic in topics {
            tracing::warn!(channel = %topic.1, error = %error, "redis refused a subscription");
            let unwanted = self.registry().refuse(topic, error);
            for batch in batches(&unwanted) {
                if let Outcome::Broken(error) = wire::unsubscribe(self.link.client(), batch, self.deadline).await {
                    return self.broken(&error);
                }
            }
        }
    }

    /// The connection cannot be trusted: a new one starts from nothing.
    fn broken(&self, error: &Error) {
        tracing::debug!(error = %error, "redis subscriptions are made anew");
        if self.link.is_up() {
            self.link.reconnect(&self.tasks, "subscriptions could not be confirmed");
        }
    }

    fn registry_topics(&self) -> Vec<Topic> {
        self.registry().unconfirmed()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

/// Hands messages to the inboxes. The driver's own listeners end at their first lag; this loop tells of it and goes on.
async fn dispatch(mut messages: Receiver<Message>, registry: Arc<Mutex<Registry>>, metrics: Arc<Metrics>) {
    loop {
        match messages.recv().await {
            Ok(message) => {
                let kind = if message.kind == MessageKind::PMessage { TopicKind::Pattern } else { TopicKind::Channel };
                let payload = match message.value {
                    Value::Bytes(bytes) => bytes,
                    Value::String(text) => text.into_inner(),
                    other => other.into_bytes().unwrap_or_default(),
                };
                for _ in 0..lock(&registry).dispatch(kind, &message.channel, payload) {
                    metrics.gap(GapReason::Lagged.as_str());
                }
            }
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(messages = count, "redis messages came faster than they were read");
                for _ in 0..lock(&registry).gap(GapReason::Lagged) {
                    metrics.gap(GapReason::Lagged.as_str());
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Topics of one kind each, in bounded pieces.
fn batches(topics: &[Topic]) -> impl Iterator<Item = &[Topic]> {
    topics.chunk_by(|(one, _), (other, _)| one == other).flat_map(|of_a_kind| of_a_kind.chunks(wire::BATCH))
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
