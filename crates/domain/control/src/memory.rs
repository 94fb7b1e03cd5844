//! The bus inside the process: same laws, nothing survives a restart and nobody else hears it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::broadcast;
use trackside_core::{Clock, Timestamp, UserId};

use crate::{
    AgentStatus, BrakeScope, BrakeState, Brakes, BusFeed, BusSignal, Channel, ControlBus, Engaged, Error, Message,
    PauseRequest, Release, Released, StopReport,
};

/// Signals that a feed holds before it says [`BusSignal::Gap`].
const FEED_CAPACITY: usize = 1024;

/// Keeps brakes in the memory of this process.
///
/// ```
/// use std::sync::Arc;
/// use trackside_control::{AgentControl, Config, MemoryControlBus};
/// use trackside_core::SystemClock;
/// let bus = MemoryControlBus::new(Arc::new(SystemClock::default()));
/// let control = AgentControl::new(Arc::new(bus), Config::default());
/// assert!(!control.is_paused(&"42".parse().unwrap()));
/// ```
#[derive(Debug)]
pub struct MemoryControlBus {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    feeds: broadcast::Sender<BusSignal>,
}

#[derive(Debug, Default)]
struct Inner {
    brakes: BTreeMap<BrakeScope, BrakeState>,
    revision: u64,
    first_revision: u64,
    statuses: HashMap<UserId, Expiring<AgentStatus>>,
    reports: HashMap<UserId, Expiring<BTreeMap<String, StopReport>>>,
}

#[derive(Debug)]
struct Expiring<T> {
    value: T,
    expires_at: Timestamp,
}

// === impl MemoryControlBus ===

impl MemoryControlBus {
    /// A bus on which nothing is paused.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default(), feeds: broadcast::channel(FEED_CAPACITY).0 }
    }

    fn tell(&self, channel: Channel, scope: &BrakeScope, message: Message) -> u64 {
        let signal = BusSignal::Message { channel, scope: scope.clone(), message: Box::new(message) };
        self.feeds.send(signal).map_or(0, |receivers| receivers as u64)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ControlBus for MemoryControlBus {
    async fn engage(&self, scope: &BrakeScope, request: &PauseRequest) -> Result<Engaged, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let expires_at = request.expires_in.map(|time| now.plus(time));
        let known = inner.brakes.get(scope).filter(|state| state.is_on(now)).cloned();
        let (state, newly) = match known {
            Some(known) => match later(known.expires_at, expires_at) {
                unchanged if unchanged == known.expires_at => {
                    return Ok(Engaged { state: known, newly: false, receivers: 0 });
                }
                expires_at => (BrakeState { expires_at, ..known }, false),
            },
            None => {
                let (reason, by) = (request.reason.clone(), request.by.clone());
                (BrakeState { scope: scope.clone(), since: now, reason, by, expires_at, revision: 0 }, true)
            }
        };
        let state = BrakeState { revision: inner.next_revision(now), ..state };
        inner.brakes.insert(scope.clone(), state.clone());
        // Told under the lock, so that messages are in the order of their revisions.
        let receivers = self.tell(Channel::Pause, scope, Message::pause(&state, now));
        Ok(Engaged { state, newly, receivers })
    }

    async fn release(&self, scope: &BrakeScope, why: Release) -> Result<Released, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let unchanged = Released { revision: inner.revision, changed: false, receivers: 0 };
        let may = match (inner.brakes.get(scope), why) {
            (None, _) | (_, Release::Foreign) => false,
            (Some(_), Release::Ordered) => true,
            (Some(state), Release::Expired) => !state.is_on(now),
        };
        if !may {
            return Ok(unchanged);
        }
        inner.brakes.remove(scope);
        let revision = inner.next_revision(now);
        let reason = if why == Release::Expired { Some("expired".to_owned()) } else { None };
        let receivers = self.tell(Channel::Resume, scope, Message::resume(scope, revision, reason, now));
        Ok(Released { revision, changed: true, receivers })
    }

    async fn look(&self, scope: &BrakeScope) -> Result<Option<BrakeState>, Error> {
        let now = self.clock.now();
        Ok(self.inner().brakes.get(scope).filter(|state| state.is_on(now)).cloned())
    }

    async fn brakes(&self, known: Option<u64>) -> Result<Brakes, Error> {
        let now = self.clock.now();
        let inner = self.inner();
        let is_known = known == Some(inner.revision);
        let states = if is_known { None } else { Some(inner.brakes.values().cloned().collect()) };
        Ok(Brakes { revision: inner.revision, first_revision: inner.first_revision, now, states })
    }

    async fn publish_status(&self, user_id: &UserId, status: &Value, ttl: Duration) -> Result<u64, Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.statuses.retain(|_, kept| kept.expires_at > now);
        let kept = Expiring { value: AgentStatus { at: now, status: status.clone() }, expires_at: now.plus(ttl) };
        inner.statuses.insert(user_id.clone(), kept);
        let message = Message::status(user_id, status.clone(), now);
        Ok(self.tell(Channel::Status, &BrakeScope::User(user_id.clone()), message))
    }

    async fn last_status(&self, user_id: &UserId) -> Result<Option<AgentStatus>, Error> {
        let now = self.clock.now();
        let inner = self.inner();
        Ok(inner.statuses.get(user_id).filter(|kept| kept.expires_at > now).map(|kept| kept.value.clone()))
    }

    async fn report(&self, user_id: &UserId, report: &StopReport, ttl: Duration) -> Result<(), Error> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.reports.retain(|_, kept| kept.expires_at > now);
        let fresh = || Expiring { value: BTreeMap::new(), expires_at: now };
        let kept = inner.reports.entry(user_id.clone()).or_insert_with(fresh);
        kept.expires_at = now.plus(ttl);
        kept.value.insert(report.task_id.clone(), StopReport { at: Some(now), ..report.clone() });
        Ok(())
    }

    async fn reports(&self, user_id: &UserId) -> Result<(Vec<StopReport>, Timestamp), Error> {
        let now = self.clock.now();
        let inner = self.inner();
        let kept = inner.reports.get(user_id).filter(|kept| kept.expires_at > now);
        Ok((kept.map(|kept| kept.value.values().cloned().collect()).unwrap_or_default(), now))
    }

    fn listen(&self) -> BusFeed {
        BusFeed::of(&self.feeds)
    }
}

// === impl Inner ===

impl Inner {
    /// Microseconds of the clock, and more than the last one (A-L2).
    fn next_revision(&mut self, now: Timestamp) -> u64 {
        self.revision = (self.revision + 1).max(now.as_millis().saturating_mul(1_000));
        if self.first_revision == 0 {
            self.first_revision = self.revision;
        }
        self.revision
    }
}

// === impl BrakeState ===

impl BrakeState {
    /// False when its time is over.
    pub(crate) fn is_on(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// The later of two expiries; never is the latest.
fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    Some(a?.max(b?))
}
