//! Who wants which channels and patterns.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    GapReason, PubSubEvent, glob,
    inbox::{Inbox, Stage},
};

/// Names a subscription.
pub(super) type SubscriptionId = u64;

/// Whether a name is one channel or a pattern of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TopicKind {
    Channel,
    Pattern,
}

/// A channel or pattern.
pub(super) type Topic = (TopicKind, Arc<str>);

/// The subscriptions of a process.
#[derive(Default)]
pub(super) struct Registry {
    topics: BTreeMap<Topic, TopicState>,
    subscriptions: HashMap<SubscriptionId, Member>,
    /// The last message of a pattern and how many more copies of it the server sends, one for each matching pattern.
    copies: Option<(Arc<str>, Bytes, usize)>,
}

#[derive(Default)]
struct TopicState {
    /// Whether the server sends its messages.
    confirmed: bool,
    members: Vec<SubscriptionId>,
}

struct Member {
    inbox: Arc<Inbox>,
    topics: Vec<Topic>,
    since: Instant,
    /// Whether it was active before.
    was_active: bool,
}

// === impl Registry ===

impl Registry {
    /// Adds a subscription and tells which of its topics the server does not know of.
    pub(super) fn add(&mut self, id: SubscriptionId, inbox: Arc<Inbox>, topics: Vec<Topic>) -> Vec<Topic> {
        let mut missing = Vec::new();
        for topic in &topics {
            let state = self.topics.entry(topic.clone()).or_default();
            state.members.push(id);
            if !state.confirmed {
                missing.push(topic.clone());
            }
        }
        self.subscriptions.insert(id, Member { inbox, topics, since: Instant::now(), was_active: false });
        missing
    }

    /// Takes a subscription away and tells which topics nobody wants any more.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Vec<Topic> {
        let Some(member) = self.subscriptions.remove(&id) else { return Vec::new() };
        let mut unwanted = Vec::new();
        for topic in member.topics {
            let Some(state) = self.topics.get_mut(&topic) else { continue };
            state.members.retain(|other| *other != id);
            if state.members.is_empty() {
                self.topics.remove(&topic);
                unwanted.push(topic);
            }
        }
        unwanted
    }

    /// The topics that the server has not confirmed.
    pub(super) fn unconfirmed(&self) -> Vec<Topic> {
        self.topics.iter().filter(|(_, state)| !state.confirmed).map(|(topic, _)| topic.clone()).collect()
    }

    /// The server has confirmed these. A subscription that was waiting for the last of them is active now: after a gap
    /// when it was active before, or waited for longer than `grace`, the time in which a caller is told that it is
    /// ready. Tells how many gaps that were.
    pub(super) fn confirm(&mut self, topics: &[Topic], grace: Duration) -> usize {
        for topic in topics {
            if let Some(state) = self.topics.get_mut(topic) {
                state.confirmed = true;
            }
        }
        let mut gaps = 0;
        for member in self.subscriptions.values_mut() {
            let complete =
                member.topics.iter().all(|topic| self.topics.get(topic).is_some_and(|state| state.confirmed));
            if !complete || *member.inbox.stage.borrow() != Stage::Pending {
                continue;
            }
            if member.was_active || member.since.elapsed() > grace {
                member.inbox.push(PubSubEvent::Gap { reason: GapReason::Reconnected });
                gaps += 1;
            }
            member.was_active = true;
            member.inbox.stage.send_replace(Stage::Active);
        }
        gaps
    }

    /// The connection is gone, and with it what the server knew.
    pub(super) fn forget_confirmations(&mut self) {
        for state in self.topics.values_mut() {
            state.confirmed = false;
        }
        for member in self.subscriptions.values() {
            member.inbox.stage.send_if_modified(|stage| {
                let active = *stage == Stage::Active;
                if active {
                    *stage = Stage::Pending;
                }
                active
            });
        }
        self.copies = None;
    }

    /// The server refuses this topic: whoever wanted it is told and is out.
    pub(super) fn refuse(&mut self, topic: &Topic, error: &crate::Error) -> Vec<Topic> {
        let members = self.topics.get(topic).map(|state| state.members.clone()).unwrap_or_default();
        let mut unwanted = Vec::new();
        for id in members {
            if let Some(member) = self.subscriptions.get(&id) {
                member.inbox.close(Stage::Refused(error.clone()));
            }
            unwanted.extend(self.remove(id));
        }
        unwanted.retain(|other| other != topic);
        unwanted
    }

    /// Tells everyone that messages were lost.
    pub(super) fn gap(&self, reason: GapReason) -> usize {
        for member in self.subscriptions.values() {
            member.inbox.push(PubSubEvent::Gap { reason });
        }
        self.subscriptions.len()
    }

    /// Hands a message to those who want it, and tells how many of them were too far behind.
    pub(super) fn dispatch(&mut self, kind: TopicKind, channel: &str, payload: Bytes) -> usize {
        let channel: Arc<str> = channel.into();
        let topics: Vec<&TopicState> = match kind {
            TopicKind::Channel => self.topics.get(&(kind, Arc::clone(&channel))).into_iter().collect(),
            TopicKind::Pattern => {
                if self.is_copy(&channel, &payload) {
                    return 0;
                }
                let matching: Vec<_> = self
                    .topics
                    .range((TopicKind::Pattern, Arc::from(""))..)
                    .filter(|((_, pattern), _)| glob::matches(pattern.as_bytes(), channel.as_bytes()))
                    .map(|(_, state)| state)
                    .collect();
                let confirmed = matching.iter().filter(|state| state.confirmed).count();
                self.copies = (confirmed > 1).then(|| (Arc::clone(&channel), payload.clone(), confirmed - 1));
                matching
            }
        };
        let mut lagged = 0;
        for id in topics.into_iter().flat_map(|state| &state.members) {
            if let Some(member) = self.subscriptions.get(id) {
                let message = PubSubEvent::Message { channel: Arc::clone(&channel), payload: payload.clone() };
                lagged += usize::from(member.inbox.push(message));
            }
        }
        lagged
    }

    /// Ends every subscription.
    pub(super) fn close(&mut self) {
        for (_, member) in self.subscriptions.drain() {
            member.inbox.close(Stage::Closed);
        }
        self.topics.clear();
    }

    /// The server sends a message once for each pattern that matches, one directly after the other, and the driver does
    /// not tell for which. The first copy went to everyone, so the others are for nobody.
    fn is_copy(&mut self, channel: &Arc<str>, payload: &Bytes) -> bool {
        match &mut self.copies {
            Some((known, last, left)) if known == channel && last == payload && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}
