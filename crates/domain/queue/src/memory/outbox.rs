//! What a queue in memory has to say to others, and what it is told by them (Q-L24).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use trackside_core::{QueueName, TaskId, Timestamp, WorkerId};

use super::queue::Queue;
use crate::{
    Config, Delivery, Due, MAX_MESSAGES, NewTask, OutboxMessage, OutboxPage, OutboxRequest, TaskState, limits,
};

/// Messages that are not delivered yet, and what was heard.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    messages: BTreeMap<u64, OutboxMessage>,
    /// The number of the last one.
    posted: u64,
    /// The number of the last message of each other queue.
    heard: HashMap<QueueName, u64>,
    /// Whose turn it is to deliver, and until when.
    turn: Option<(WorkerId, Timestamp)>,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    pub(super) fn post(&mut self, to: QueueName, delivery: Delivery) {
        self.posted += 1;
        self.messages.insert(self.posted, OutboxMessage { number: self.posted, to, delivery });
    }

    /// Enqueues a task in another queue.
    pub(super) fn post_task(&mut self, to: &QueueName, task: &NewTask, now: Timestamp) {
        let mut posted = task.clone();
        if let Due::After(delay) = task.options.due {
            posted.options.due = Due::At(limits::later(now, delay));
        }
        self.post(to.clone(), Delivery::Enqueue(Box::new(posted)));
    }

    /// The next messages, for the relay whose turn it is.
    pub(super) fn page(&mut self, request: &OutboxRequest, now: Timestamp) -> OutboxPage {
        for number in &request.delivered {
            self.messages.remove(number);
        }
        let held = self.turn.as_ref().filter(|(relay, until)| *relay != request.relay && *until > now);
        if let Some((_, until)) = held {
            let busy = Duration::from_millis(until.millis_since(now));
            return OutboxPage { busy: Some(busy), ..OutboxPage::default() };
        }
        let next = self.messages.range(request.after + 1..).take(MAX_MESSAGES);
        let messages: Vec<OutboxMessage> = next.map(|(_, message)| message.clone()).collect();
        let last = messages.last().map(|message| message.number);
        self.turn = last.map(|_| (request.relay.clone(), limits::later(now, request.turn)));
        OutboxPage { messages, last, is_pending: false, busy: None }
    }

    /// Whether a message is new; from then on it is not.
    fn is_news(&mut self, from: &QueueName, number: u64) -> bool {
        let heard = self.heard.entry(from.clone()).or_default();
        let is_news = number > *heard;
        *heard = number.max(*heard);
        is_news
    }
}

// === impl Queue ===

impl Queue {
    /// Hears what another queue has to say; answers whether there are messages to others now.
    pub(super) fn hear(
        &mut self,
        from: &QueueName,
        messages: &[OutboxMessage],
        now: Timestamp,
        config: &Config,
    ) -> bool {
        for message in messages {
            if !self.outbox.is_news(from, message.number) {
                continue;
            }
            match &message.delivery {
                Delivery::Watch { predecessor, watcher } => self.watch(*predecessor, watcher, now),
                Delivery::Ended { predecessor, state, reason } => {
                    let reason = (*state != Some(TaskState::Completed)).then(|| reason.clone());
                    self.links.end(*predecessor, *state, reason);
                }
                Delivery::Enqueue(task) => drop(self.bring_in(std::slice::from_ref(task), now, config)),
                // Nobody writes in memory what it does not read.
                Delivery::Unknown => {}
            }
        }
        self.resolve(now, config);
        self.outbox.has_messages()
    }

    fn watch(&mut self, predecessor: TaskId, watcher: &QueueName, now: Timestamp) {
        let state = self.state(predecessor, now);
        if state.is_some_and(|state| !state.is_finished()) {
            self.links.watch(predecessor, watcher.clone());
            return;
        }
        let reason = match state {
            Some(TaskState::Completed) => String::new(),
            Some(state) => self.why(predecessor, state),
            None => format!("dependency failed: task {predecessor} is unknown"),
        };
        self.outbox.post(watcher.clone(), Delivery::Ended { predecessor, state, reason });
    }
}
