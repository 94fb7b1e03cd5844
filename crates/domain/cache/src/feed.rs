//! What a store tells of changes, and the listener's end of it.

use std::{fmt::Debug, sync::Arc};

use tokio::sync::broadcast;

use crate::{NamespaceName, Tag};

/// Signals that a feed of our stores holds before it overflows.
pub(crate) const FEED_CAPACITY: usize = 4_096;

/// What a feed says.
///
/// ```
/// use trackside_cache::CacheSignal;
/// assert_ne!(CacheSignal::Gap, CacheSignal::Lost);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheSignal {
    /// An entry was put, filled or deleted.
    Changed {
        /// Its namespace.
        namespace: NamespaceName,
        /// Its key.
        key: Arc<str>,
        /// The version of the change.
        version: u64,
    },
    /// A lease was given back without a fill.
    Released {
        /// The entry's namespace.
        namespace: NamespaceName,
        /// Its key.
        key: Arc<str>,
    },
    /// A tag has a new version.
    Tag {
        /// The tag.
        tag: Tag,
        /// Its version.
        version: u64,
    },
    /// A mark that this store sent.
    Mark(u64),
    /// Something may have been missed: believe nothing that was heard before.
    Gap,
    /// The store is out of reach. [`CacheSignal::Gap`] follows when it is back.
    Lost,
}

/// A listener's end of a store's changes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use trackside_cache::{CacheFeed, CacheSignal};
/// let (feeds, mut feed) = CacheFeed::channel(8);
/// feeds.send(CacheSignal::Lost).unwrap();
/// assert_eq!(feed.next().await, CacheSignal::Lost);
/// # });
/// ```
#[derive(Debug)]
pub struct CacheFeed {
    receiver: broadcast::Receiver<CacheSignal>,
    /// Whatever must live as long as the feed does, such as the subscription behind it.
    _keep: Option<Box<dyn Debug + Send + Sync>>,
}

// === impl CacheFeed ===

impl CacheFeed {
    /// A channel that holds `capacity` signals for each of its feeds (C-L11).
    #[must_use]
    pub fn channel(capacity: usize) -> (broadcast::Sender<CacheSignal>, Self) {
        let (sender, receiver) = broadcast::channel(capacity.max(1));
        (sender, Self { receiver, _keep: None })
    }

    /// A further feed of a channel, which keeps `keep` until it is dropped.
    #[must_use]
    pub fn of(sender: &broadcast::Sender<CacheSignal>, keep: Option<Box<dyn Debug + Send + Sync>>) -> Self {
        Self { receiver: sender.subscribe(), _keep: keep }
    }

    /// A feed of a receiver that may have heard something already.
    #[cfg(feature = "redis")]
    pub(crate) fn from_parts(receiver: broadcast::Receiver<CacheSignal>, keep: Box<dyn Debug + Send + Sync>) -> Self {
        Self { receiver, _keep: Some(keep) }
    }

    /// The next signal; waits for ever when the other end is gone. Cancel-safe.
    pub async fn next(&mut self) -> CacheSignal {
        match self.receiver.recv().await {
            Ok(signal) => signal,
            Err(broadcast::error::RecvError::Lagged(_)) => CacheSignal::Gap,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
