//! Brings the brake to the queues: the control part knows who is paused, the queues park and stop their tasks.
//!
//! Three ways, so that no single failure leaves a task running: changes are applied as they are heard, everything is
//! compared every few seconds, and a queue that this process meets for the first time is told before it is used.

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
/// Every so many comparisons each brake is brought to the queues again, whatever this process believes they have.
const REPEAT_EVERY: u32 = 15;

/// Brings every brake into a queue that this process meets, before it is used.
#[derive(Debug)]
pub(crate) struct BringBrake {
    control: AgentControl,
}

/// What the queues were told last, by scope.
#[derive(Debug, Default)]
struct Told {
    /// Revision of the brake that is on, or of its release.
    changes: HashMap<BrakeScope, BrakeChange>,
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
    let (mut told, mut round) = (Told::default(), 0_u32);
    let forever = async {
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(ControlEvent::Pause(brake)) => told.pause(&queues, &reports, &brake).await,
                    Some(ControlEvent::Resume { scope, revision }) => {
                        told.apply(&queues, scope.clone(), released(&scope, revision)).await;
                    }
                    Some(ControlEvent::Status { .. }) => {}
                    Some(ControlEvent::Resync) => told.compare(&control, &queues).await,
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
                self.changes.remove(&scope);
                tracing::debug!(brake.scope = %scope, %error, "the queues could not be told of the brake yet");
            }
        }
    }

    /// Tells the queues what they have not been told, and of every release that nobody mentioned.
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
    }

    /// Forgets which brakes are on in the queues, so that they are told again: another process may have been cut off.
    fn doubt(&mut self) {
        for change in self.changes.values_mut().filter(|change| change.engaged) {
            change.revision = 0;
        }
        self.changes.retain(|_, change| change.engaged);
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
