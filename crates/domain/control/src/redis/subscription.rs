//! The channels as a feed.

use tokio::{sync::broadcast, task::JoinHandle};
use trackside_redis::{PubSubEvent, RedisService};

use super::keys::Keys;
use crate::{BusFeed, BusSignal, Message};

/// Signals that a feed holds before it says [`BusSignal::Gap`].
const FEED_CAPACITY: usize = 1024;

/// Ends the task with the feed.
#[derive(Debug)]
struct Listening(JoinHandle<()>);

// === impl Listening ===

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn listen(redis: RedisService, keys: Keys) -> BusFeed {
    let (feeds, _) = broadcast::channel(FEED_CAPACITY);
    let feed = BusFeed::of(&feeds);
    feed.keeping(Listening(tokio::spawn(forward(redis, keys, feeds))))
}

async fn forward(redis: RedisService, keys: Keys, feeds: broadcast::Sender<BusSignal>) {
    let mut subscription = match redis.subscribe_patterns(keys.patterns()) {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the brake's channels are not listened to");
            return;
        }
    };
    if subscription.ready().await.is_ok() {
        // What was said before the server confirmed is in the state. Nobody listening is not a failure.
        let _ = feeds.send(BusSignal::Gap);
    }
    while let Some(event) = subscription.next().await {
        let signal = match event {
            PubSubEvent::Message { channel, payload } => match keys.parse_channel(&channel) {
                Some((channel, scope)) => {
                    BusSignal::Message { channel, scope, message: Box::new(Message::parse(&payload)) }
                }
                None => continue,
            },
            _ => BusSignal::Gap,
        };
        let _ = feeds.send(signal);
    }
}
