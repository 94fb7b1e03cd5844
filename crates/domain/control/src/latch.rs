//! The latched state: what this process knows to be paused, and obeys although the bus is away.
//!
//! It is fail-safe. Only news of a release takes a brake off: an answer of the bus that is complete as of a later revision
//! and does not list the brake, or a resume. A bus that has lost its memory is no such news: what it lost is written again.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use trackside_core::Timestamp;

use crate::{BrakeScope, BrakeState, Brakes, ControlEvent, PauseRequest};

/// What this process knows.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    brakes: HashMap<BrakeScope, BrakeState>,
    /// Pauses that the bus does not know yet.
    pending: HashMap<BrakeScope, Pending>,
    /// Releases that the last complete answer did not know yet, so that a late pause does not undo them.
    released: HashMap<BrakeScope, u64>,
    /// Revision and first revision of the last complete answer.
    as_of: Option<(u64, u64)>,
    /// The bus' clock, and this process' clock then.
    clock: Option<(Timestamp, Instant)>,
}

/// A pause that waits for the bus.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    request: PauseRequest,
    since: Instant,
}

// === impl Latch ===

impl Latch {
    /// The brake that holds this scope itself.
    pub(crate) fn brake(&self, scope: &BrakeScope) -> Option<&BrakeState> {
        self.brakes.get(scope)
    }

    pub(crate) fn brakes(&self) -> impl Iterator<Item = &BrakeState> {
        self.brakes.values()
    }

    pub(crate) fn is_pending(&self, scope: &BrakeScope) -> bool {
        self.pending.contains_key(scope)
    }

    pub(crate) fn pending(&self) -> Vec<(BrakeScope, Pending)> {
        self.pending.iter().map(|(scope, pending)| (scope.clone(), pending.clone())).collect()
    }

    /// As of which revision the state is complete; `None` before the first answer of the bus.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.as_of.map(|(revision, _)| revision)
    }

    /// The bus' clock, as far as it is known.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.map_or_else(Timestamp::now, |(then, since)| then.plus(since.elapsed()))
    }

    /// The scopes whose time is over, and how long it is until the next one's is.
    pub(crate) fn expired(&self) -> (Vec<BrakeScope>, Option<Duration>) {
        let now = self.now();
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        for state in self.brakes.values().filter(|state| state.revision > 0) {
            match state.expires_at {
                Some(at) if at <= now => due.push(state.scope.clone()),
                Some(at) => {
                    let left = Duration::from_millis(at.millis_since(now));
                    next = Some(next.map_or(left, |next| next.min(left)));
                }
                None => {}
            }
        }
        (due, next)
    }

    /// A brake is on.
    pub(crate) fn engage(&mut self, state: BrakeState) -> Option<ControlEvent> {
        let known = self.brakes.get(&state.scope).map_or(0, |known| known.revision);
        let released = self.released.get(&state.scope).copied().unwrap_or(0);
        let is_news =
            state.revision > known.max(released) && self.revision().is_none_or(|as_of| state.revision > as_of);
        if !is_news {
            return None;
        }
        self.brakes.insert(state.scope.clone(), state.clone());
        Some(ControlEvent::Pause(state))
    }

    /// A pause acts here although the bus does not know it.
    pub(crate) fn engage_alone(
        &mut self,
        scope: BrakeScope,
        request: PauseRequest,
    ) -> (BrakeState, Option<ControlEvent>) {
        let now = self.now();
        let known = self.brakes.get(&scope).cloned();
        let state = known.clone().unwrap_or_else(|| BrakeState {
            scope: scope.clone(),
            since: now,
            reason: request.reason.clone(),
            by: request.by.clone(),
            expires_at: request.expires_in.map(|time| now.plus(time)),
            revision: 0,
        });
        self.pending.insert(scope.clone(), Pending { request, since: Instant::now() });
        if known.is_some() {
            return (state, None);
        }
        self.brakes.insert(scope, state.clone());
        (state.clone(), Some(ControlEvent::Pause(state)))
    }

    /// The bus knows a pause that was pending. False when it was resumed meanwhile.
    pub(crate) fn written(&mut self, scope: &BrakeScope) -> bool {
        self.pending.remove(scope).is_some()
    }

    /// A brake is off as of a revision. A pause that is still to be written stays.
    pub(crate) fn release(&mut self, scope: &BrakeScope, revision: u64) -> Option<ControlEvent> {
        let released = self.released.entry(scope.clone()).or_default();
        *released = revision.max(*released);
        let known = self.brakes.get(scope)?.revision;
        if known > revision || self.pending.contains_key(scope) {
            return None;
        }
        self.brakes.remove(scope);
        Some(ControlEvent::Resume { scope: scope.clone(), revision })
    }

    /// The complete answer of the bus.
    pub(crate) fn take(&mut self, answer: Brakes) -> Vec<ControlEvent> {
        self.clock = Some((answer.now, Instant::now()));
        let Some(states) = answer.states else { return Vec::new() };
        let has_forgotten = self.as_of.is_some_and(|(_, first)| first != answer.first_revision && first != 0);
        self.as_of = Some((answer.revision, answer.first_revision));
        self.released.retain(|_, revision| *revision > answer.revision && !has_forgotten);
        let mut events = Vec::new();
        let mut listed = HashMap::new();
        for state in states {
            if self.released.contains_key(&state.scope) {
                continue;
            }
            let known = self.brakes.remove(&state.scope);
            if known.is_none_or(|known| known.revision != state.revision) {
                events.push(ControlEvent::Pause(state.clone()));
            }
            listed.insert(state.scope.clone(), state);
        }
        for (scope, state) in std::mem::take(&mut self.brakes) {
            let is_lost = state.revision > answer.revision || (has_forgotten && state.revision > 0);
            if is_lost && !self.pending.contains_key(&scope) {
                self.pending.insert(scope.clone(), Pending::again(&state, answer.now));
            }
            if self.pending.contains_key(&scope) {
                listed.insert(scope, state);
            } else {
                events.push(ControlEvent::Resume { scope, revision: answer.revision });
            }
        }
        self.brakes = listed;
        events
    }
}

// === impl Pending ===

impl Pending {
    /// A pause that the bus has forgotten.
    fn again(state: &BrakeState, now: Timestamp) -> Self {
        let left = |at: Timestamp| Duration::from_millis(at.millis_since(now)).max(Duration::from_millis(1));
        let request =
            PauseRequest { reason: state.reason.clone(), by: state.by.clone(), expires_in: state.expires_at.map(left) };
        Self { request, since: Instant::now() }
    }

    /// The request with what is left of its time.
    pub(crate) fn request(&self) -> PauseRequest {
        let left = |time: Duration| time.saturating_sub(self.since.elapsed()).max(Duration::from_millis(1));
        PauseRequest { expires_in: self.request.expires_in.map(left), ..self.request.clone() }
    }
}
