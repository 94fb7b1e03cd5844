//! The tasks that completions bring, in memory (Q-L23).

use trackside_core::{QueueName, TaskId, Timestamp};

use super::queue::Queue;
use crate::{Config, Enqueued, NewTask, Settlement, TaskState, idempotency};

// === impl Queue ===

impl Queue {
    /// Takes in what a completion brings for this queue; answers where those tasks are.
    pub(super) fn enqueue_next(&mut self, item: &Settlement, now: Timestamp, config: &Config) -> Vec<Enqueued> {
        let own = self.own_next(item);
        self.take_in(&own, now, config).unwrap_or_else(|error| {
            // Only an idempotency key is refused, and the manager lets none come with a completion.
            let error = &error as &dyn std::error::Error;
            tracing::error!(queue.name = %self.name, task.id = %item.id, error, "what a task brought is lost");
            Vec::new()
        })
    }

    /// Where the tasks are that a completion brought when it was applied.
    pub(super) fn enqueued_next(&self, item: &Settlement, now: Timestamp) -> Vec<Enqueued> {
        self.own_next(item).iter().map(|task| self.where_now(task, now)).collect()
    }

    fn where_now(&self, task: &NewTask, now: Timestamp) -> Enqueued {
        let stands = || task.options.unique.as_ref().and_then(|unique| self.holder(idempotency::digest(&unique.key)));
        let known = |id: TaskId| self.state(id, now).map(|state| (id, state));
        let found = known(task.id).or_else(|| stands().and_then(known));
        let (id, state) = found.unwrap_or((task.id, TaskState::Completed));
        Enqueued { id, state, replayed: true }
    }

    fn own_next(&self, item: &Settlement) -> Vec<NewTask> {
        let is_own = |(queue, _): &&(QueueName, NewTask)| *queue == self.name;
        item.outcome.next().iter().filter(is_own).map(|(_, task)| task.clone()).collect()
    }
}
