//! What is ordered from outside, in memory: cancel and the brake.

use std::collections::BTreeSet;

use trackside_core::{TaskId, Timestamp};

use super::queue::{Ending, Place, Queue, level};
use crate::{BrakeChange, BrakeScope, Config, TaskState, limits};

impl Queue {
    /// Calls a task off; answers the state it had (Q-L12).
    pub(super) fn cancel(&mut self, id: TaskId, reason: &str, now: Timestamp, config: &Config) -> Option<TaskState> {
        let state = self.state(id, now)?;
        let reason = limits::reason(reason).to_owned();
        match state {
            TaskState::Active => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.cancel = Some(reason);
                }
            }
            TaskState::Completed | TaskState::Cancelled | TaskState::Dead => {}
            _ => {
                let (state, error, retention) = (TaskState::Cancelled, Some(reason), config.retention);
                let shared = self.tasks.get(&id).filter(|task| matches!(task.place, Place::Shared));
                let options = shared.map(|task| (level(task.new.options.priority), task.new.options.tenant_id.clone()));
                self.finish(id, Ending { state, result: None, error, at: now, retention });
                if let Some((level, Some(tenant))) = options {
                    self.shared[level].leave(&tenant);
                }
                self.resolve(now, config);
            }
        }
        Some(state)
    }

    pub(super) fn set_brake(&mut self, change: &BrakeChange) {
        let known = self.brake.get(&change.scope).map(|(_, revision)| *revision);
        if known.is_none_or(|revision| revision < change.revision) {
            self.brake.insert(change.scope.clone(), (change.engaged, change.revision));
        }
    }

    /// Returns parked tasks to their levels, newest first from call to call, so that the oldest is next in the end.
    pub(super) fn unpark(&mut self, scope: &BrakeScope, limit: usize) -> usize {
        let page: BTreeSet<TaskId> = match scope {
            BrakeScope::User(user) if self.is_braked(Some(user)) => return 0,
            BrakeScope::Everyone if self.is_braked(None) => return 0,
            BrakeScope::User(user) => {
                self.parked.get(&Some(user.clone())).into_iter().flatten().rev().take(limit).copied().collect()
            }
            BrakeScope::Everyone => {
                let free = self.parked.iter().rev().filter(|(user, _)| !self.is_braked(user.as_ref()));
                free.flat_map(|(_, ids)| ids.iter().rev()).take(limit).copied().collect()
            }
        };
        let page: Vec<TaskId> = page.into_iter().collect();
        self.return_to_head(&page);
        page.len()
    }
}
