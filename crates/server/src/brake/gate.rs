//! The last word before a task starts here: what this process knows of the brake.

use trackside_control::AgentControl;
use trackside_queue::{ClaimedTask, StartGate};

/// Keeps tasks of paused users from starting, also while the queues have not heard of the pause.
#[derive(Debug)]
pub(crate) struct LatchedBrake {
    control: AgentControl,
}

// === impl LatchedBrake ===

impl LatchedBrake {
    pub(crate) const fn new(control: AgentControl) -> Self {
        Self { control }
    }
}

impl StartGate for LatchedBrake {
    fn may_start(&self, task: &ClaimedTask) -> bool {
        match &task.user_id {
            Some(user_id) => !self.control.is_paused(user_id),
            None => !self.control.is_everyone_paused(),
        }
    }
}
