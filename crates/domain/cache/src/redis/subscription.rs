//! The channel as a feed.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::broadcast,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use trackside_redis::{PubSubEvent, RedisService};

use super::{
    message::{Message, Source},
    numbers::Numbers,
};
use crate::{CacheFeed, CacheSignal, feed::FEED_CAPACITY};

/// How often holes are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// Ends the task with the feed.
#[derive(Debug)]
struct Listening(JoinHandle<()>);

// === impl Listening ===

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn listen(redis: RedisService, channel: String, source: Arc<Source>) -> CacheFeed {
    let (feeds, _) = broadcast::channel(FEED_CAPACITY);
    // The feed is made first: whatever the task says is heard.
    let (receiver, task) = (feeds.subscribe(), tokio::spawn(forward(redis, channel, source, feeds)));
    CacheFeed::from_parts(receiver, Box::new(Listening(task)))
}

async fn forward(redis: RedisService, channel: String, source: Arc<Source>, feeds: broadcast::Sender<CacheSignal>) {
    let mut subscription = match redis.subscribe(vec![channel]) {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "changes of the cache are not listened to");
            return;
        }
    };
    let mut connection = redis.connection();
    let mut numbers = Numbers::default();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What was said before the server confirmed was not heard. Nobody listening is not a failure.
    let is_ready = subscription.ready().await.is_ok();
    let _ = feeds.send(if is_ready { CacheSignal::Gap } else { CacheSignal::Lost });
    loop {
        let signal = tokio::select! {
            event = subscription.next() => match event {
                Some(PubSubEvent::Message { payload, .. }) => {
                    let Some(message) = Message::read(&payload, source.id()) else { continue };
                    if numbers.hear(message.source, message.number, Instant::now()) {
                        let _ = feeds.send(CacheSignal::Gap);
                    }
                    message.signal
                }
                Some(_) => {
                    numbers.forget();
                    Some(CacheSignal::Gap)
                }
                None => return,
            },
            changed = connection.changed() => {
                if changed.is_err() {
                    return;
                }
                (!connection.borrow_and_update().is_connected()).then_some(CacheSignal::Lost)
            }
            _ = look.tick() => numbers.is_any_missing(Instant::now()).then_some(CacheSignal::Gap),
        };
        if let Some(signal) = signal {
            let _ = feeds.send(signal);
        }
    }
}
