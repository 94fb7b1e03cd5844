//! Who waits for whom, in memory: dependencies, and what follows when a task has ended (Q-L21, Q-L22).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use trackside_core::{QueueName, TaskId, Timestamp};

use super::queue::{Destination, Ending, Place, Queue};
use crate::{Config, Delivery, Dependency, NewTask, OnFailure, TaskState};

/// The edges between the tasks of a queue.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Waiting tasks, and the predecessors that have not ended yet.
    unmet: HashMap<TaskId, BTreeSet<TaskId>>,
    /// Predecessors, and the tasks that wait for them.
    next: HashMap<TaskId, BTreeSet<TaskId>>,
    /// Predecessors, and the other queues that want to be told when they have ended.
    watchers: HashMap<TaskId, BTreeSet<QueueName>>,
    /// Predecessors that have ended, and how, and why what waits for them cannot run; nothing when it can. By id, so that what
    /// ends together is told in the same order everywhere.
    ended: BTreeMap<TaskId, (Option<TaskState>, Option<String>)>,
}

/// What is known of a predecessor.
enum Predecessor {
    Open,
    Completed,
    Failed(TaskState),
    Unknown,
}

// === impl Links ===

impl Links {
    pub(super) fn waiting(&self) -> usize {
        self.unmet.len()
    }

    /// Notes that another queue wants to be told.
    pub(super) fn watch(&mut self, predecessor: TaskId, watcher: QueueName) {
        self.watchers.entry(predecessor).or_default().insert(watcher);
    }

    /// Notes how a predecessor has ended, if anything waits for it; and why that cannot run.
    pub(super) fn end(&mut self, predecessor: TaskId, state: Option<TaskState>, reason: Option<String>) {
        if self.has_followers(predecessor) {
            self.ended.insert(predecessor, (state, reason));
        }
    }

    fn has_followers(&self, predecessor: TaskId) -> bool {
        self.next.contains_key(&predecessor) || self.watchers.contains_key(&predecessor)
    }

    fn add(&mut self, id: TaskId, predecessor: TaskId) {
        self.unmet.entry(id).or_default().insert(predecessor);
        self.next.entry(predecessor).or_default().insert(id);
    }

    /// The task waits no more, for whatever reason.
    pub(super) fn remove(&mut self, id: TaskId) {
        for predecessor in self.unmet.remove(&id).unwrap_or_default() {
            if let Some(successors) = self.next.get_mut(&predecessor) {
                successors.remove(&id);
                if successors.is_empty() {
                    self.next.remove(&predecessor);
                }
            }
        }
    }
}

// === impl Queue ===

impl Queue {
    /// Whether anything is known of a predecessor, or it is none of this queue.
    pub(super) fn knows(&self, predecessor: &Dependency, now: Timestamp) -> bool {
        !matches!(self.predecessor(predecessor, now), Predecessor::Unknown)
    }

    /// Notes what a new task waits for; answers whether it must wait at all.
    pub(super) fn link(&mut self, task: &NewTask, now: Timestamp) -> bool {
        let is_indifferent = task.options.on_failure == OnFailure::Continue;
        let (mut failed, mut asked) = (Vec::new(), BTreeSet::new());
        for predecessor in &task.options.depends_on {
            let ended = match self.predecessor(predecessor, now) {
                Predecessor::Open => None,
                Predecessor::Completed => continue,
                Predecessor::Failed(_) | Predecessor::Unknown if is_indifferent => continue,
                Predecessor::Failed(state) => Some((Some(state), self.why(predecessor.id, state))),
                Predecessor::Unknown => Some((None, format!("dependency failed: task {} is unknown", predecessor.id))),
            };
            let other = predecessor.queue.as_ref().filter(|queue| **queue != self.name);
            if let Some(other) = other.filter(|_| asked.insert(predecessor.id)) {
                let watch = Delivery::Watch { predecessor: predecessor.id, watcher: self.name.clone() };
                self.outbox.post(other.clone(), watch);
            }
            self.links.add(task.id, predecessor.id);
            failed.extend(ended.map(|(state, reason)| (predecessor.id, (state, Some(reason)))));
        }
        self.links.ended.extend(failed);
        self.links.unmet.contains_key(&task.id)
    }

    /// The task has ended in this state; what waits for it is told by [`Queue::resolve`].
    pub(super) fn announce(&mut self, id: TaskId, state: TaskState) {
        if self.links.has_followers(id) {
            let reason = (state != TaskState::Completed).then(|| self.why(id, state));
            self.links.end(id, Some(state), reason);
        }
    }

    /// Tells what waits for tasks that have ended: it becomes ready, or shares their fate.
    pub(super) fn resolve(&mut self, now: Timestamp, config: &Config) {
        while let Some((ended, (state, reason))) = self.links.ended.pop_first() {
            for watcher in self.links.watchers.remove(&ended).unwrap_or_default() {
                let reason = reason.clone().unwrap_or_default();
                self.outbox.post(watcher, Delivery::Ended { predecessor: ended, state, reason });
            }
            for id in self.links.next.remove(&ended).unwrap_or_default() {
                self.tell(id, ended, reason.as_deref(), now, config);
            }
        }
    }

    fn tell(&mut self, id: TaskId, ended: TaskId, reason: Option<&str>, now: Timestamp, config: &Config) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let Place::Waiting { due } = task.place else { return };
        match (reason, task.new.options.on_failure) {
            (Some(reason), OnFailure::Fail) => {
                task.error = Some(reason.to_owned());
                self.move_to(id, Destination::Dead(now));
            }
            (Some(reason), OnFailure::Cancel) => {
                let error = Some(reason.to_owned());
                let (state, retention) = (TaskState::Cancelled, config.retention);
                self.finish(id, Ending { state, result: None, error, at: now, retention });
            }
            _ => {
                let is_free = self.links.unmet.get_mut(&id).is_none_or(|unmet| {
                    unmet.remove(&ended);
                    unmet.is_empty()
                });
                if is_free && due > now {
                    self.move_to(id, Destination::Delayed(due));
                } else if is_free {
                    self.make_ready(id, now);
                }
            }
        }
    }

    fn predecessor(&self, predecessor: &Dependency, now: Timestamp) -> Predecessor {
        if predecessor.queue.as_ref().is_some_and(|queue| *queue != self.name) {
            return Predecessor::Open;
        }
        match self.state(predecessor.id, now) {
            None => Predecessor::Unknown,
            Some(TaskState::Completed) => Predecessor::Completed,
            Some(state) if state.is_finished() => Predecessor::Failed(state),
            Some(_) => Predecessor::Open,
        }
    }

    /// Why a task cannot run; the first failure of a chain is the one that is told.
    pub(super) fn why(&self, id: TaskId, state: TaskState) -> String {
        if state == TaskState::Cancelled {
            return format!("dependency failed: task {id} was cancelled");
        }
        match self.tasks.get(&id).and_then(|task| task.error.as_deref()) {
            Some(error) if error.starts_with("dependency failed:") => error.to_owned(),
            Some(error) => format!("dependency failed: task {id} is dead: {error}"),
            None => format!("dependency failed: task {id} is dead"),
        }
    }
}
