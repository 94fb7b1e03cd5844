//! Where a subscription's events wait for it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{GapReason, PubSubEvent};
use crate::Error;

/// A bounded queue that never blocks the writer: what does not fit becomes a gap.
pub(super) struct Inbox {
    events: Mutex<Events>,
    arrived: Notify,
    capacity: usize,
    /// Whether the server knows of the subscription.
    pub(super) stage: watch::Sender<Stage>,
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// Not confirmed yet, or not any more.
    Pending,
    /// Every topic is confirmed.
    Active,
    /// The server refused one.
    Refused(Error),
    /// The service is shut down.
    Closed,
}

struct Events {
    queue: VecDeque<PubSubEvent>,
    closed: bool,
}

// === impl Inbox ===

impl Inbox {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            events: Mutex::new(Events { queue: VecDeque::new(), closed: false }),
            arrived: Notify::new(),
            capacity,
            stage: watch::Sender::new(Stage::Pending),
        }
    }

    /// Adds an event. When the reader is too far behind, what waits is replaced by a gap: the reader has to look at the
    /// state anyway, and the newest messages are the ones worth keeping. Tells whether that happened.
    pub(super) fn push(&self, event: PubSubEvent) -> bool {
        let mut events = self.lock();
        if events.closed {
            return false;
        }
        let full = events.queue.len() >= self.capacity;
        if full {
            events.queue.clear();
            events.queue.push_back(PubSubEvent::Gap { reason: GapReason::Lagged });
        }
        // A gap that is unread already tells to look at the state.
        let told =
            matches!(event, PubSubEvent::Gap { .. }) && matches!(events.queue.back(), Some(PubSubEvent::Gap { .. }));
        if !told {
            events.queue.push_back(event);
        }
        drop(events);
        self.arrived.notify_one();
        full
    }

    /// The next event, or `None` when the inbox is closed and read to its end. Cancel-safe.
    pub(super) async fn next(&self) -> Option<PubSubEvent> {
        loop {
            {
                let mut events = self.lock();
                if let Some(event) = events.queue.pop_front() {
                    return Some(event);
                }
                if events.closed {
                    return None;
                }
            }
            // A permit of an event that came in between is kept by `Notify`.
            self.arrived.notified().await;
        }
    }

    /// No more events.
    pub(super) fn close(&self, stage: Stage) {
        self.lock().closed = true;
        self.stage.send_replace(stage);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
