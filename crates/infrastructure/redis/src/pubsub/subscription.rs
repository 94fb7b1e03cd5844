//! What a subscriber holds.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};

use super::{
    hub::Request,
    inbox::{Inbox, Stage},
    registry::SubscriptionId,
};
use crate::{Error, Operation};

/// Messages of some channels. Dropping it gives them up; the server is told when no other subscription of the process
/// wants them.
///
/// Redis keeps no messages: who is away misses them. So every subscription reports a [`Gap`](PubSubEvent::Gap) when it
/// may have missed some, at a moment from which on it hears everything again: read the state then. In Cluster a
/// connection to any node that comes back is reason enough.
///
/// ```no_run
/// # async fn example(redis: trackside_redis::RedisService) -> Result<(), trackside_redis::Error> {
/// use trackside_redis::PubSubEvent;
///
/// let mut pauses = redis.subscribe(vec!["agent:pause:42".to_owned()])?;
/// pauses.ready().await?;
/// while let Some(event) = pauses.next().await {
///     match event {
///         PubSubEvent::Message { channel, payload } => println!("{channel}: {} bytes", payload.len()),
///         PubSubEvent::Gap { reason } => println!("{reason:?}: read the state again"),
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Subscription {
    id: SubscriptionId,
    inbox: Arc<Inbox>,
    requests: mpsc::UnboundedSender<Request>,
    deadline: Duration,
}

/// What a subscription hears.
#[derive(Clone, PartialEq, Eq)]
pub enum PubSubEvent {
    /// A message.
    Message {
        /// Where it was published, also for a pattern.
        channel: Arc<str>,
        /// What was published.
        payload: Bytes,
    },
    /// Messages may be missing before this point: read the state again.
    Gap {
        /// How that came.
        reason: GapReason,
    },
}

/// How messages came to be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The connection was away and is back, or came only after the subscription was made.
    Reconnected,
    /// The reader was too slow.
    Lagged,
}

// === impl Subscription ===

impl Subscription {
    pub(super) fn new(
        id: SubscriptionId,
        inbox: Arc<Inbox>,
        requests: mpsc::UnboundedSender<Request>,
        deadline: Duration,
    ) -> Self {
        Self { id, inbox, requests, deadline }
    }

    /// Waits until the server has confirmed every channel: what is published from now on is heard. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when that takes longer than the first dial and a command may; the subscription stays and
    /// is made when Redis is there, announced by a gap. [`Error::Refused`] when the server forbids a channel; the
    /// subscription is over then.
    pub async fn ready(&self) -> Result<(), Error> {
        let operation = || Operation::new("redis.subscribe");
        let mut stage = self.inbox.stage.subscribe();
        // The first subscription of a process waits for a connection as well.
        let settled = timeout(self.deadline * 2, stage.wait_for(|stage| *stage != Stage::Pending)).await;
        let stage = match settled {
            Ok(Ok(stage)) => stage.clone(),
            Ok(Err(_)) => Stage::Closed,
            Err(_) => Stage::Pending,
        };
        match stage {
            Stage::Active => Ok(()),
            Stage::Refused(error) => Err(error),
            Stage::Closed => Err(Error::unavailable(operation(), "the service is shut down")),
            Stage::Pending => Err(Error::unavailable(operation(), "not confirmed in time")),
        }
    }

    /// The next event, or `None` when the service is shut down or the server refused a channel. Cancel-safe.
    pub async fn next(&mut self) -> Option<PubSubEvent> {
        self.inbox.next().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Nobody listens any more once the service is shut down.
        let _ = self.requests.send(Request::Remove(self.id));
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).field("stage", &*self.inbox.stage.borrow()).finish()
    }
}

// === impl PubSubEvent ===

impl fmt::Debug for PubSubEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { channel, payload } => write!(f, "message on {channel} ({} bytes)", payload.len()),
            Self::Gap { reason } => write!(f, "gap ({reason:?})"),
        }
    }
}

// === impl GapReason ===

impl GapReason {
    /// The value of the metric attribute `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconnected => "reconnected",
            Self::Lagged => "lagged",
        }
    }
}
