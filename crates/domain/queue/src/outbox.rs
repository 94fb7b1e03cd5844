//! What one queue has to say to another: written down with what causes it, and delivered by a relay.

use std::{collections::BTreeSet, time::Duration};

use trackside_core::{QueueName, TaskId, WorkerId};

use crate::{NewTask, TaskState};

/// Messages that one call may carry.
pub const MAX_MESSAGES: usize = 32;

/// A message that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Grows with every message of the queue that speaks.
    pub number: u64,
    /// For whom it is.
    pub to: QueueName,
    /// What it says.
    pub delivery: Delivery,
}

/// What a queue is told by another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A task of `watcher` waits for one of the queue's.
    Watch {
        /// The task that it waits for.
        predecessor: TaskId,
        /// Who wants to be told when that has ended.
        watcher: QueueName,
    },
    /// A task of another queue has ended, and tasks of this one may wait for it.
    Ended {
        /// The task.
        predecessor: TaskId,
        /// How it ended; `None` when nothing is known of it.
        state: Option<TaskState>,
        /// Why what waits for it cannot run; empty when it can.
        reason: String,
    },
    /// A task to be enqueued.
    Enqueue(Box<NewTask>),
    /// What this version does not understand. It is left to one that does, with all that comes after it.
    Unknown,
}

/// What a relay asks for, and what it has done since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRequest {
    /// Who asks.
    pub relay: WorkerId,
    /// How long the messages are this relay's, so that not everybody delivers the same.
    pub turn: Duration,
    /// Numbers of messages that are delivered, at most [`MAX_MESSAGES`]: they are removed.
    pub delivered: Vec<u64>,
    /// Only messages with greater numbers.
    pub after: u64,
}

/// Messages to deliver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxPage {
    /// Up to [`MAX_MESSAGES`], in the order of their numbers.
    pub messages: Vec<OutboxMessage>,
    /// The number of the last message looked at, also of one whose queue cannot be read; `None` when there was none.
    pub last: Option<u64>,
    /// True when something inside the queue is left to be told: ask again at once.
    pub is_pending: bool,
    /// How long another relay has its turn; then this page is empty.
    pub busy: Option<Duration>,
}

// === impl OutboxMessage ===

impl OutboxMessage {
    /// Tasks that the one which it brings waits for.
    pub(crate) fn edges(&self) -> usize {
        match &self.delivery {
            Delivery::Enqueue(task) => task.options.depends_on.len(),
            _ => 0,
        }
    }

    /// Whether it must come after what one of these queues has not heard yet.
    pub(crate) fn comes_after(&self, unheard: &BTreeSet<QueueName>) -> bool {
        let waits_there = |task: &NewTask| {
            task.options.depends_on.iter().filter_map(|it| it.queue.as_ref()).any(|queue| unheard.contains(queue))
        };
        unheard.contains(&self.to) || matches!(&self.delivery, Delivery::Enqueue(task) if waits_there(task))
    }
}
