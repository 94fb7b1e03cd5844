//! Brings a change of the brake to the queues before the request that made it is answered.
//!
//! Whoever wires the service keeps brake and queues together all the time; this closes the moment between the answer
//! and that, in which a worker of another language could still lease a task of somebody who has just been paused.

use trackside_control::BrakeScope;
use trackside_queue::BrakeChange;

use crate::ApiState;

/// The brake is on as of `revision`; 0 while the store does not know it.
pub(crate) async fn engaged(state: &ApiState, scope: BrakeScope, revision: u64) {
    let scope = of_queue(scope);
    if revision == 0 {
        state.queues.stop_braked(&scope);
    } else {
        bring(state, BrakeChange { scope, engaged: true, revision }).await;
    }
}

/// The brake is off as of `revision`.
pub(crate) async fn released(state: &ApiState, scope: BrakeScope, revision: u64) {
    bring(state, BrakeChange { scope: of_queue(scope), engaged: false, revision }).await;
}

async fn bring(state: &ApiState, change: BrakeChange) {
    if let Err(error) = state.queues.apply_brake(&change).await {
        // The change itself is made, and will be brought again until every queue has it.
        tracing::warn!(error = &error as &dyn std::error::Error, "the queues could not be told of the brake yet");
    }
}

fn of_queue(scope: BrakeScope) -> trackside_queue::BrakeScope {
    match scope {
        BrakeScope::User(user_id) => trackside_queue::BrakeScope::User(user_id),
        BrakeScope::Everyone => trackside_queue::BrakeScope::Everyone,
    }
}
