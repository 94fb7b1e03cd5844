//! The port: what a control bus does, and the laws that every bus obeys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::broadcast;
use trackside_core::{Timestamp, UserId};

use crate::{AgentStatus, BrakeScope, BrakeState, Channel, Error, Message, PauseRequest, StopReport};

/// Where the brake's state lives and how it is told.
///
/// # Laws
/// Each law is a function in the `conformance` module and is run against every bus.
///
/// - **A-L1 first pause counts** — engaging a brake that is on keeps its `since`, reason and author; of two expiries the
///   later one holds, and none is later than any. When nothing changes, the revision stays.
/// - **A-L2 revisions** — every change has a revision greater than all before it, of every scope, even when the bus has
///   lost its memory meanwhile.
/// - **A-L3 complete** — [`ControlBus::brakes`] answers every brake that is on as of its revision: a scope that it does
///   not list is free as of that revision.
/// - **A-L4 release** — releasing a brake that is off changes nothing; releasing one because it expired happens only when
///   it has, by the bus' clock.
/// - **A-L5 told** — every change is told to the feeds after it is in the state, and the answer counts who heard it. A feed
///   that may have missed something says [`BusSignal::Gap`].
/// - **A-L6 looked at** — [`ControlBus::look`] knows a change as soon as it was answered, and an expired brake as off.
/// - **A-L7 status** — the last status is kept for its time, and every one is told.
/// - **A-L8 foreign orders** — a brake that another program has put on by writing `paused:{user_id}` is on once it is
///   looked at; it ends for a foreign resume only when that key is gone. (Only where there are other programs.)
/// - **A-L9 reports** — of each task the last report is kept, per user.
///
/// A timeout means that the outcome is unknown; every method may be repeated.
#[async_trait]
pub trait ControlBus: Send + Sync + Debug + 'static {
    /// Puts a brake on (A-L1).
    async fn engage(&self, scope: &BrakeScope, request: &PauseRequest) -> Result<Engaged, Error>;

    /// Takes a brake off (A-L4).
    async fn release(&self, scope: &BrakeScope, why: Release) -> Result<Released, Error>;

    /// One brake, or `None` when it is off (A-L6, A-L8).
    async fn look(&self, scope: &BrakeScope) -> Result<Option<BrakeState>, Error>;

    /// Every brake that is on (A-L3); without the list when the revision is still `known`.
    async fn brakes(&self, known: Option<u64>) -> Result<Brakes, Error>;

    /// Keeps and tells what an agent says; answers how many heard it (A-L7).
    async fn publish_status(&self, user_id: &UserId, status: &Value, ttl: Duration) -> Result<u64, Error>;

    /// What an agent said last.
    async fn last_status(&self, user_id: &UserId) -> Result<Option<AgentStatus>, Error>;

    /// Keeps a report about a task that was told to stop (A-L9).
    async fn report(&self, user_id: &UserId, report: &StopReport, ttl: Duration) -> Result<(), Error>;

    /// The reports about a user's tasks, and the bus' clock.
    async fn reports(&self, user_id: &UserId) -> Result<(Vec<StopReport>, Timestamp), Error>;

    /// Listens to all channels (A-L5). Inside the process: never waits, never fails.
    fn listen(&self) -> BusFeed;
}

/// A brake that is on, as [`ControlBus::engage`] left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engaged {
    /// The brake.
    pub state: BrakeState,
    /// True when it was off before.
    pub newly: bool,
    /// Who heard of it; 0 when nothing changed.
    pub receivers: u64,
}

/// Why a brake is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Somebody asked for it.
    Ordered,
    /// Its time is over; nothing happens when it is not.
    Expired,
    /// Another program said so; nothing happens while its key is there (A-L8).
    Foreign,
}

/// A brake that is off, as [`ControlBus::release`] left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// As of which revision it is as said.
    pub revision: u64,
    /// True when this call took it off.
    pub changed: bool,
    /// Who heard of it; 0 when nothing changed.
    pub receivers: u64,
}

/// Every brake that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brakes {
    /// The last change of any scope; 0 when there never was one.
    pub revision: u64,
    /// The first change that the bus remembers: when it differs from what it was, the bus has lost its memory.
    pub first_revision: u64,
    /// The bus' clock.
    pub now: Timestamp,
    /// `None` when nothing changed since the revision that the caller knows.
    pub states: Option<Vec<BrakeState>>,
}

/// What a feed says.
#[derive(Debug, Clone, PartialEq)]
pub enum BusSignal {
    /// A message on a channel.
    Message {
        /// Which.
        channel: Channel,
        /// Whom it is about, by the channel's name.
        scope: BrakeScope,
        /// What it says.
        message: Box<Message>,
    },
    /// Messages may be missing: read the state again.
    Gap,
}

/// A listener's end of the bus.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use trackside_control::{BusFeed, BusSignal};
/// let (feeds, _) = tokio::sync::broadcast::channel(8);
/// let mut feed = BusFeed::of(&feeds);
/// feeds.send(BusSignal::Gap).unwrap();
/// assert_eq!(feed.next().await, BusSignal::Gap);
/// # });
/// ```
#[derive(Debug)]
pub struct BusFeed {
    receiver: broadcast::Receiver<BusSignal>,
    /// Whatever must live as long as the feed does, such as the subscription behind it.
    _keep: Option<Box<dyn Debug + Send + Sync>>,
}

// === impl BusFeed ===

impl BusFeed {
    /// A feed of a channel.
    #[must_use]
    pub fn of(sender: &broadcast::Sender<BusSignal>) -> Self {
        Self { receiver: sender.subscribe(), _keep: None }
    }

    /// The same feed, which keeps `keep` until it is dropped.
    #[must_use]
    pub fn keeping(self, keep: impl Debug + Send + Sync + 'static) -> Self {
        Self { _keep: Some(Box::new(keep)), ..self }
    }

    /// The next signal; waits for ever when the other end is gone. Cancel-safe.
    pub async fn next(&mut self) -> BusSignal {
        match self.receiver.recv().await {
            Ok(signal) => signal,
            Err(broadcast::error::RecvError::Lagged(_)) => BusSignal::Gap,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
