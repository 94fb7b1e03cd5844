//! Brings the brake to the queues: the control part knows who is paused, the queues park and stop their tasks.
//!
//! Three ways, so that no single failure leaves a task running: changes are applied as they are heard, everything is
//! compared every few seconds, and a queue that this process meets for the first time is told before it is used. And one
//! so that none leaves a task waiting: at the start, after a gap and every half minute the queues are asked which brakes
//! they have, and those that nobody is paused by, such as a process leaves that died over a release, are let go.

mod gate;
mod reports;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use trackside_control::{AgentControl, BrakeScope, BrakeState, ControlEvent};
use trackside_core::QueueName;
use trackside_queue::{BrakeChange, QueueManager, RegistrationHook};

pub(crate) use self::{
    gate::LatchedBrake,
    reports::{Reports, write as write_reports},
};

/// How often the queues are compared with what is paused.
const COMPARE_EVERY: Duration = Duration::from_secs(2);
/// Every so many comparisons each brake is brought to the queues again, whatever this process believes they have, and
/// they are asked for brakes that it knows nothing of.
const REPEAT_EVERY: u32 = 15;

/// Brings every brake into a queue that this process meets, before it is used.
#[derive(Debug)]
pub(crate) struct BringBrake {
    control: AgentControl,
}

/// What the queues were told last.
#[derive(Debug)]
struct Told {
    /// The last change of each scope; revision 0 when it failed, or may have got lost.
    changes: HashMap<BrakeScope, BrakeChange>,
    /// The queues may have brakes that nobody is paused by.
    has_doubts: bool,
}

// === impl BringBrake ===

impl BringBrake {
    pub(crate) const fn new(control: AgentControl) -> Self {
        Self { control }
    }
}

#[async_trait]
impl RegistrationHook for BringBrake {
    async fn on_register(&self, queues: &QueueManager, queue: &QueueName) -> Result<(), trackside_queue::Error> {
        for brake in self.control.paused().brakes.iter().filter(|brake| brake.revision > 0) {
            queues.set_brake(queue, &engaged(brake)).await?;
        }
        Ok(())
    }
}

/// Applies changes as they are heard and compares every few seconds, until `end`.
pub(crate) async fn keep(control: AgentControl, queues: QueueManager, reports: Reports, end: CancellationToken) {
    let mut events = control.watch();
    let mut compare = interval(COMPARE_EVERY);
    compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut round) = (Told::new(), 0_u32);
    let forever = async {
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(ControlEvent::Pause(brake)) => told.pause(&queues, &reports, &brake).await,
                    Some(ControlEvent::Resume { scope, revision }) => {
                        told.apply(&queues, scope.clone(), released(&scope, revision)).await;
                    }
                    Some(ControlEvent::Status { .. }) => {}
                    Some(ControlEvent::Resync) => {
                        told.has_doubts = true;
                        told.compare(&control, &queues).await;
                    }
                    None => return,
                },
                _ = compare.tick() => {
                    round = round.wrapping_add(1);
                    if round.is_multiple_of(REPEAT_EVERY) {
                        told.doubt();
                    }
                    told.compare(&control, &queues).await;
                }
            }
        }
    };
    end.run_until_cancelled(forever).await;
}

// === impl Told ===

impl Told {
    fn new() -> Self {
        Self { changes: HashMap::new(), has_doubts: true }
    }

    async fn pause(&mut self, queues: &QueueManager, reports: &Reports, brake: &BrakeState) {
        // What runs here stops first, also when the store is away and the pause has no revision yet.
        reports.ordered(&brake.scope);
        let stopped = queues.stop_braked(&scope(&brake.scope));
        tracing::info!(brake.scope = %brake.scope, tasks.stopped = stopped, "brake on");
        if brake.revision > 0 {
            self.apply(queues, brake.scope.clone(), engaged(brake)).await;
        }
    }

    /// Tells every queue; what fails is told again at the next comparison.
    async fn apply(&mut self, queues: &QueueManager, scope: BrakeScope, change: BrakeChange) {
        match queues.apply_brake(&change).await {
            Ok(()) => {
                if !change.engaged {
                    tracing::info!(brake.scope = %scope, "brake off");
                }
                self.changes.insert(scope, change);
            }
            Err(error) => {
                tracing::debug!(brake.scope = %scope, %error, "the queues could not be told of the brake yet");
                self.failed(scope, &change);
            }
        }
    }

    /// A brake of an unknown revision is told again if it is on, and released if it is not.
    fn failed(&mut self, scope: BrakeScope, change: &BrakeChange) {
        self.changes.insert(scope, BrakeChange { engaged: true, revision: 0, scope: change.scope.clone() });
    }

    /// Tells the queues what they have not been told, and of every release that nobody mentioned; in doubt also of those
    /// that this process knows nothing of.
    async fn compare(&mut self, control: &AgentControl, queues: &QueueManager) {
        let paused = control.paused();
        for brake in paused.brakes.iter().filter(|brake| brake.revision > 0) {
            let change = engaged(brake);
            if self.changes.get(&brake.scope) != Some(&change) {
                self.apply(queues, brake.scope.clone(), change).await;
            }
        }
        // Without the bus' word nothing follows from what is missing.
        let Some(revision) = paused.revision else { return };
        let on: HashSet<&BrakeScope> = paused.brakes.iter().map(|brake| &brake.scope).collect();
        let gone: Vec<BrakeScope> = self
            .changes
            .iter()
            .filter(|(scope, change)| change.engaged && !on.contains(scope))
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in gone {
            let change = released(&scope, revision);
            self.apply(queues, scope, change).await;
        }
        if self.has_doubts {
            // After what is paused was brought, so that nothing is returned only to be parked again.
            let on = paused.brakes.iter().map(|brake| self::scope(&brake.scope)).collect();
            match queues.reconcile_brakes(&on, revision).await {
                Ok(count) => {
                    self.has_doubts = false;
                    if count > 0 {
                        tracing::warn!(
                            brakes = count,
                            "brakes that nobody is paused by were left in queues and let go"
                        );
                    }
                }
                Err(error) => tracing::debug!(%error, "the queues could not be asked for their brakes yet"),
            }
        }
    }

    /// Forgets which brakes are on in the queues, so that they are told again: another process may have been cut off.
    fn doubt(&mut self) {
        for change in self.changes.values_mut().filter(|change| change.engaged) {
            change.revision = 0;
        }
        self.changes.retain(|_, change| change.engaged);
        self.has_doubts = true;
    }
}

/// The queue's word for whom a brake holds.
fn scope(scope: &BrakeScope) -> trackside_queue::BrakeScope {
    match scope {
        BrakeScope::User(user_id) => trackside_queue::BrakeScope::User(user_id.clone()),
        BrakeScope::Everyone => trackside_queue::BrakeScope::Everyone,
    }
}

fn engaged(brake: &BrakeState) -> BrakeChange {
    BrakeChange { scope: scope(&brake.scope), engaged: true, revision: brake.revision }
}

fn released(of: &BrakeScope, revision: u64) -> BrakeChange {
    BrakeChange { scope: scope(of), engaged: false, revision }
}

#[cfg(test)]
mod tests;
