//! What users hold: pause, resume, status and the global brake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use serde_json::Value;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use trackside_core::{ErrorKind, UserId};

use crate::{
    AgentState, BrakeScope, BrakeState, Config, ControlBus, ControlEvent, ControlEvents, Error, PauseReceipt,
    PauseRequest, Release, ResumeReceipt, StopOutcome, StopReport, Verification, latch::Latch, metrics::METRICS, run,
};

/// Events that a listener may be behind before it hears [`ControlEvent::Resync`].
const EVENTS: usize = 1024;

/// The brake and the status of agents.
///
/// A clone is the same control. [`run`](Self::run) must be going in every process that must obey: it keeps the latched
/// state, from which [`is_paused`](Self::is_paused) answers without a round trip.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use trackside_control::{AgentControl, Config, MemoryControlBus, PauseRequest};
/// use trackside_core::SystemClock;
///
/// let bus = MemoryControlBus::new(Arc::new(SystemClock::default()));
/// let control = AgentControl::new(Arc::new(bus), Config::default());
/// let user = "42".parse().unwrap();
/// control.pause(&user, PauseRequest { reason: Some("runaway spend".into()), ..PauseRequest::default() }).await?;
/// assert!(control.is_paused(&user));
/// control.resume(&user).await?;
/// assert!(!control.is_paused(&user));
/// # Ok::<(), trackside_control::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct AgentControl {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) bus: Arc<dyn ControlBus>,
    pub(crate) config: Config,
    latch: Mutex<Latch>,
    events: broadcast::Sender<ControlEvent>,
    /// Wakes the loop when something is pending.
    pub(crate) wake: Notify,
}

/// Everything that is paused, for comparing with what obeys it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// As of which revision the list is complete: what it does not hold is free as of then. `None` before the bus has
    /// answered for the first time; then nothing may be concluded from what is missing.
    pub revision: Option<u64>,
    /// The brakes that are on, in the order of their scopes. A revision of 0 is a pause that the bus does not know yet.
    pub brakes: Vec<BrakeState>,
}

// === impl AgentControl ===

impl AgentControl {
    /// Control over `bus`.
    #[must_use]
    pub fn new(bus: Arc<dyn ControlBus>, config: Config) -> Self {
        let (events, _) = broadcast::channel(EVENTS);
        Self { inner: Arc::new(Inner { bus, config, latch: Mutex::default(), events, wake: Notify::new() }) }
    }

    /// Pauses a user's agents. Pausing again keeps the first `since`; of two times to live the longer holds.
    ///
    /// It acts in this process before it returns, with the bus away too: then the answer says `pending`, and
    /// [`run`](Self::run) tells the others when the bus is back. Cancel-safe; repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::InvalidInput`].
    pub async fn pause(&self, user_id: &UserId, request: PauseRequest) -> Result<PauseReceipt, Error> {
        self.engage(BrakeScope::user(user_id)?, request).await
    }

    /// Lets a user's agents go on. Resuming what is not paused changes nothing.
    ///
    /// # Errors
    /// [`Error::Bus`] when the bus is away: the brake stays on, since nobody else would hear that it is off.
    pub async fn resume(&self, user_id: &UserId) -> Result<ResumeReceipt, Error> {
        self.disengage(&BrakeScope::user(user_id)?).await
    }

    /// What is known of a user's agents. With the bus away, what this process knows.
    ///
    /// # Errors
    /// [`Error::Bus`] when the bus answers something that cannot be understood.
    pub async fn status(&self, user_id: &UserId) -> Result<AgentState, Error> {
        let scope = BrakeScope::user(user_id)?;
        let (brake, said) = tokio::join!(self.look(&scope), self.inner.bus.last_status(user_id));
        let brake = brake?;
        let said = match said {
            Err(error) if is_away(&error) => None,
            said => said?,
        };
        let (paused_globally, pending) = {
            let latch = self.latch();
            (latch.brake(&BrakeScope::Everyone).is_some(), latch.is_pending(&scope))
        };
        Ok(AgentState {
            user_id: user_id.clone(),
            paused: brake.is_some(),
            paused_globally,
            since: brake.as_ref().map(|brake| brake.since),
            reason: brake.as_ref().and_then(|brake| brake.reason.clone()),
            by: brake.as_ref().and_then(|brake| brake.by.clone()),
            expires_at: brake.as_ref().and_then(|brake| brake.expires_at),
            status_at: said.as_ref().map(|said| said.at),
            status: said.map(|said| said.status),
            pending,
        })
    }

    /// Tells what a user's agents are doing, to whoever listens on `agent:status:{user_id}`; answers how many did.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it is too large, [`Error::Bus`] when the bus is away.
    pub async fn publish_status(&self, user_id: &UserId, status: Value) -> Result<u64, Error> {
        BrakeScope::user(user_id)?;
        let (bytes, limit) = (status.to_string().len(), self.inner.config.max_status_bytes);
        if bytes > limit {
            return Err(Error::InvalidInput { field: "status", reason: format!("{bytes} bytes, at most {limit}") });
        }
        self.inner.bus.publish_status(user_id, &status, self.inner.config.status_ttl).await
    }

    /// Pauses everyone; otherwise as [`pause`](Self::pause).
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub async fn set_global(&self, request: PauseRequest) -> Result<PauseReceipt, Error> {
        self.engage(BrakeScope::Everyone, request).await
    }

    /// Takes the global brake off; users who are paused themselves stay paused.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn clear_global(&self) -> Result<ResumeReceipt, Error> {
        self.disengage(&BrakeScope::Everyone).await
    }

    /// The global brake, or `None` when it is off.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn global(&self) -> Result<Option<BrakeState>, Error> {
        self.look(&BrakeScope::Everyone).await
    }

    /// Whether a user's tasks may not run, by the user's brake or the global one. From this process' memory.
    #[must_use]
    pub fn is_paused(&self, user_id: &UserId) -> bool {
        let latch = self.latch();
        latch.brake(&BrakeScope::from(user_id.clone())).or_else(|| latch.brake(&BrakeScope::Everyone)).is_some()
    }

    /// Whether the global brake is on, which holds tasks of nobody in particular too. From this process' memory.
    #[must_use]
    pub fn is_everyone_paused(&self) -> bool {
        self.latch().brake(&BrakeScope::Everyone).is_some()
    }

    /// Everything that is paused. From this process' memory.
    #[must_use]
    pub fn paused(&self) -> Paused {
        let latch = self.latch();
        let mut brakes: Vec<BrakeState> = latch.brakes().cloned().collect();
        brakes.sort_by(|a, b| a.scope.cmp(&b.scope));
        Paused { revision: latch.revision(), brakes }
    }

    /// Every change that this process comes to know from now on.
    #[must_use]
    pub fn watch(&self) -> ControlEvents {
        ControlEvents::new(self.inner.events.subscribe())
    }

    /// Reports that a task of a paused user was told to stop, or stopped, for [`verification`](Self::verification).
    ///
    /// # Errors
    /// [`Error::Bus`] when the bus is away.
    pub async fn report(&self, user_id: &UserId, task_id: &str, outcome: StopOutcome) -> Result<(), Error> {
        let report = StopReport { task_id: task_id.to_owned(), outcome, at: None };
        self.inner.bus.report(user_id, &report, self.inner.config.report_ttl).await
    }

    /// What became of the user's running tasks since the brake that holds them, the user's own or the global one.
    ///
    /// # Errors
    /// [`Error::Bus`] when the bus is away.
    pub async fn verification(&self, user_id: &UserId) -> Result<Verification, Error> {
        let own = self.look(&BrakeScope::user(user_id)?).await?;
        let brake = match own {
            Some(own) => Some(own),
            None => self.global().await?,
        };
        let (reports, now) = self.inner.bus.reports(user_id).await?;
        Ok(Verification::of(brake.as_ref(), reports, now, &self.inner.config))
    }

    /// Keeps the latched state until `shutdown`: listens, reads again after a gap and every few seconds, ends pauses whose
    /// time is over, and writes those that were made with the bus away.
    pub async fn run(&self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(run::keep(self)).await;
    }

    async fn engage(&self, scope: BrakeScope, request: PauseRequest) -> Result<PauseReceipt, Error> {
        request.validate()?;
        match self.inner.bus.engage(&scope, &request).await {
            Ok(engaged) => {
                let state = engaged.state;
                self.change(|latch| latch.engage(state.clone()));
                Ok(PauseReceipt {
                    since: state.since,
                    receivers: engaged.receivers,
                    revision: state.revision,
                    newly: engaged.newly,
                    pending: false,
                })
            }
            Err(error) if is_away(&error) => {
                tracing::warn!(
                    brake.scope = %scope,
                    error = &error as &dyn std::error::Error,
                    "a pause acts in this process only until the control bus is back"
                );
                let mut made = None;
                self.change(|latch| {
                    let (state, event) = latch.engage_alone(scope, request);
                    made = Some((state, event.is_some()));
                    event
                });
                self.inner.wake.notify_one();
                let Some((state, newly)) = made else { return Err(error) };
                Ok(PauseReceipt { since: state.since, receivers: 0, revision: state.revision, newly, pending: true })
            }
            Err(error) => Err(error),
        }
    }

    async fn disengage(&self, scope: &BrakeScope) -> Result<ResumeReceipt, Error> {
        let released = self.inner.bus.release(scope, Release::Ordered).await?;
        let mut was_latched = false;
        self.change(|latch| {
            was_latched = latch.written(scope) || latch.brake(scope).is_some();
            latch.release(scope, released.revision)
        });
        Ok(ResumeReceipt {
            receivers: released.receivers,
            revision: released.revision,
            was_paused: released.changed || was_latched,
        })
    }

    /// One brake as the bus has it, or as this process knows it when the bus is away.
    async fn look(&self, scope: &BrakeScope) -> Result<Option<BrakeState>, Error> {
        match self.inner.bus.look(scope).await {
            Ok(Some(foreign)) if foreign.revision == 0 => {
                // Another program wrote the key without a message: from here on everybody knows.
                let request = PauseRequest { reason: foreign.reason.clone(), by: foreign.by.clone(), expires_in: None };
                self.engage(scope.clone(), request).await?;
                Ok(self.latch().brake(scope).cloned().or(Some(foreign)))
            }
            Ok(Some(state)) => {
                self.change(|latch| latch.engage(state.clone()));
                Ok(Some(state))
            }
            // A pause that is still to be written holds, whatever the bus knows.
            Ok(None) => Ok(self.latch().brake(scope).filter(|state| state.revision == 0).cloned()),
            Err(error) if is_away(&error) => Ok(self.latch().brake(scope).cloned()),
            Err(error) => Err(error),
        }
    }

    /// Changes the latch, and tells what came of it.
    pub(crate) fn change<E: IntoIterator<Item = ControlEvent>>(&self, change: impl FnOnce(&mut Latch) -> E) {
        let mut latch = self.latch();
        let events: Vec<ControlEvent> = change(&mut latch).into_iter().collect();
        METRICS.pending.record(latch.pending().len() as u64, &[]);
        METRICS.paused.record(latch.brakes().count() as u64, &[]);
        // Told under the lock, so that listeners hear the changes in the order in which they took effect.
        for event in events {
            self.tell(event);
        }
    }

    pub(crate) fn tell(&self, event: ControlEvent) {
        let label = match &event {
            ControlEvent::Pause(_) => Some("pause"),
            ControlEvent::Resume { .. } => Some("resume"),
            ControlEvent::Status { .. } | ControlEvent::Resync => None,
        };
        if let Some(label) = label {
            METRICS.changes.add(1, &[KeyValue::new("change", label)]);
        }
        // Nobody listening is not a failure: the latch has it.
        let _ = self.inner.events.send(event);
    }

    pub(crate) fn latch(&self) -> MutexGuard<'_, Latch> {
        self.inner.latch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True when the bus cannot take the order now, rather than the order being wrong.
pub(crate) fn is_away(error: &Error) -> bool {
    error.kind().is_store_outage() || error.kind() == ErrorKind::Refused
}
