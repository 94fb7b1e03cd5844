//! The port: what a progress store does, and the laws that every store obeys.
//!
//! A store keeps frames and knows nothing of percentages: what the frames mean is decided in `operation`.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use tokio::sync::broadcast;
use trackside_core::Timestamp;

use crate::{Error, EventId, Frame, ProgressId};

/// Frames that one append or read may carry, so that no call runs for long.
pub const MAX_FRAMES: usize = 64;

/// Where progress lives.
///
/// # Laws
/// Each law is a function in the `conformance` module and is run against every store.
///
/// - **P-L1 increasing** — the ids of an operation's frames strictly increase, across writers too.
/// - **P-L2 one writer** — the first frame of an epoch is stored only when `previous` is the operation's last id; later
///   frames of an epoch only while no newer epoch has begun. Anything else is *fenced* and changes nothing.
/// - **P-L3 repeatable** — appending frames that are already there changes nothing and answers *stored*; so an append
///   whose answer was lost may be sent again.
/// - **P-L4 history** — at least `history` of the newest frames are kept, and never without a keyframe.
/// - **P-L5 resume** — reading after an id that is kept gives exactly the later frames in order; after any other id, it
///   says that it cannot.
/// - **P-L6 live** — a feed gives each frame appended after it was made, in order, or says [`LiveSignal::Gap`].
/// - **P-L7 bounded** — a feed that is not read holds a bounded number of frames; when it overflows it says `Gap`.
/// - **P-L8 expiry** — every operation has a time to live, counted from the last append that set it.
/// - **P-L9 never from nothing** — an append that continues an operation does not bring a forgotten one back.
///
/// Every method is one round trip. A timeout means that the outcome is unknown; every method may be repeated (P-L3).
#[async_trait]
pub trait ProgressStore: Send + Sync + Debug + 'static {
    /// The store's clock, and the frames from the last keyframe on; none when the operation is unknown.
    async fn head(&self, id: &ProgressId) -> Result<Head, Error>;

    /// Adds frames (P-L1 to P-L4), at most [`MAX_FRAMES`].
    async fn append(&self, id: &ProgressId, append: &Append) -> Result<Appended, Error>;

    /// Up to [`MAX_FRAMES`] frames after `after`, or `None` when that id is not kept (P-L5). Ask again while it answers
    /// [`MAX_FRAMES`].
    async fn read_after(&self, id: &ProgressId, after: EventId) -> Result<Option<Vec<Frame>>, Error>;

    /// Listens to an operation, whether it exists or not. Inside the process: never waits, never fails (P-L6, P-L7).
    fn listen(&self, id: &ProgressId) -> LiveFeed;
}

/// What is known of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The store's clock.
    pub now: Timestamp,
    /// The last keyframe and every later frame; empty when the operation is unknown.
    pub frames: Vec<Frame>,
}

/// Who appends: random, one for each writer of an operation, so that a repeated first frame is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriterId(pub u64);

/// Frames to add.
#[derive(Debug, Clone)]
pub struct Append {
    /// Who appends.
    pub writer: WriterId,
    /// The operation's last id as this writer knows it; `None` when it believes that there is none.
    pub previous: Option<EventId>,
    /// The frames, all of one epoch, with consecutive ids. The first one of an operation carries a keyframe.
    pub frames: Vec<Frame>,
    /// Sets the time to live from now on; `None` leaves it. Required with the first frame of an epoch.
    pub ttl: Option<Duration>,
}

/// What became of an [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// All frames are there.
    Stored,
    /// Another writer has taken over, or the operation is gone. `stored` of the frames are there, from an earlier attempt.
    Fenced {
        /// How many of the frames are there.
        stored: usize,
    },
}

/// What a feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveSignal {
    /// A frame was appended after the frame `previous`; a reader that has not seen that one has missed something.
    Frame {
        /// The id before it.
        previous: Option<EventId>,
        /// The frame.
        frame: Frame,
    },
    /// Something may have been missed: read again.
    Gap,
    /// The store is out of reach. [`LiveSignal::Gap`] follows when it is back.
    Lost,
}

/// A listener's end of an operation's live frames.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use trackside_progress::{LiveFeed, LiveSignal};
/// let (feeds, mut feed) = LiveFeed::channel(8);
/// feeds.send(LiveSignal::Lost).unwrap();
/// assert_eq!(feed.next().await, LiveSignal::Lost);
/// # });
/// ```
#[derive(Debug)]
pub struct LiveFeed {
    receiver: broadcast::Receiver<LiveSignal>,
    /// Whatever must live as long as the feed does, such as the subscription behind it.
    _keep: Option<Box<dyn Debug + Send + Sync>>,
}

// === impl Append ===

impl Append {
    /// True when the first frame begins an epoch (P-L2).
    #[must_use]
    pub fn begins_epoch(&self) -> bool {
        match (self.previous, self.frames.first()) {
            (Some(previous), Some(first)) => previous.epoch != first.id.epoch,
            _ => true,
        }
    }
}

// === impl LiveFeed ===

impl LiveFeed {
    /// A channel that holds `capacity` signals for each of its feeds (P-L7).
    #[must_use]
    pub fn channel(capacity: usize) -> (broadcast::Sender<LiveSignal>, Self) {
        let (sender, receiver) = broadcast::channel(capacity.max(1));
        (sender, Self { receiver, _keep: None })
    }

    /// A further feed of a channel, which keeps `keep` until it is dropped.
    #[must_use]
    pub fn of(sender: &broadcast::Sender<LiveSignal>, keep: Option<Box<dyn Debug + Send + Sync>>) -> Self {
        Self { receiver: sender.subscribe(), _keep: keep }
    }

    /// The next signal; waits for ever when the other end is gone. Cancel-safe.
    pub async fn next(&mut self) -> LiveSignal {
        match self.receiver.recv().await {
            Ok(signal) => signal,
            Err(broadcast::error::RecvError::Lagged(_)) => LiveSignal::Gap,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
