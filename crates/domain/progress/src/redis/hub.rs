//! One subscription for the whole process, fanned out by operation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::broadcast,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use trackside_redis::{PubSubEvent, RedisService};

use super::frame::{signal, split_payload};
use crate::{LiveFeed, LiveSignal, ProgressId};

/// Signals that a feed holds before it overflows.
const FEED_CAPACITY: usize = 64;
/// How often operations that nobody listens to any more are forgotten, and the subscription with the last of them.
const PRUNE: Duration = Duration::from_secs(10);

type Feeds = HashMap<ProgressId, broadcast::Sender<LiveSignal>>;

pub(super) struct Hub {
    redis: RedisService,
    channel: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    feeds: Feeds,
    /// The task that listens, while anybody wants to hear.
    task: Option<JoinHandle<()>>,
}

// === impl Hub ===

impl Hub {
    pub(super) fn new(redis: RedisService, channel: String) -> Self {
        Self { redis, channel, shared: Arc::default() }
    }

    /// Registers a listener. The task tells it of a gap as soon as the server has confirmed the subscription, so what was
    /// published before that is read.
    pub(super) fn listen(&self, id: &ProgressId) -> LiveFeed {
        let mut shared = lock(&self.shared);
        let feed = shared.feeds.entry(id.clone()).or_insert_with(|| broadcast::channel(FEED_CAPACITY).0);
        let feed = LiveFeed::of(feed, None);
        if shared.task.as_ref().is_none_or(JoinHandle::is_finished) {
            let listening = listen(self.redis.clone(), self.channel.clone(), Arc::clone(&self.shared));
            shared.task = Some(tokio::spawn(listening));
        }
        feed
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.shared).task.take() {
            task.abort();
        }
    }
}

async fn listen(redis: RedisService, channel: String, shared: Arc<Mutex<Shared>>) {
    let mut subscription = match redis.subscribe(vec![channel]) {
        Ok(subscription) => subscription,
        Err(error) => {
            // The service is shutting down. Streams look into the store by themselves.
            tracing::warn!(error = &error as &dyn std::error::Error, "progress is not listened to");
            return;
        }
    };
    let mut connection = redis.connection();
    let mut prune = interval(PRUNE);
    prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
    match subscription.ready().await {
        Ok(()) => tell_all(&shared, &LiveSignal::Gap),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "progress will be listened to when redis is there"
            );
            tell_all(&shared, &LiveSignal::Lost);
        }
    }
    loop {
        tokio::select! {
            event = subscription.next() => match event {
                Some(PubSubEvent::Message { payload, .. }) => deliver(&shared, &payload),
                Some(_) => tell_all(&shared, &LiveSignal::Gap),
                None => return,
            },
            changed = connection.changed() => {
                if changed.is_err() {
                    return;
                }
                if !connection.borrow_and_update().is_connected() {
                    tell_all(&shared, &LiveSignal::Lost);
                }
            }
            _ = prune.tick() => {
                let mut shared = lock(&shared);
                shared.feeds.retain(|_, feed| feed.receiver_count() > 0);
                if shared.feeds.is_empty() {
                    shared.task = None;
                    return;
                }
            }
        }
    }
}

fn deliver(shared: &Mutex<Shared>, payload: &[u8]) {
    let Some((id, rest)) = split_payload(payload) else { return };
    if let Some(feed) = lock(shared).feeds.get(&id) {
        // What cannot be read is told as a gap: the entry itself may be readable. Nobody listening is not a failure.
        let _ = feed.send(signal(rest).unwrap_or(LiveSignal::Gap));
    }
}

fn tell_all(shared: &Mutex<Shared>, signal: &LiveSignal) {
    for feed in lock(shared).feeds.values() {
        let _ = feed.send(signal.clone());
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
