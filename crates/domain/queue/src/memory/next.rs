//! The tasks that completions bring, in memory (Q-L23).

use trackside_core::{QueueName, TaskId, Timestamp};

use super::queue::Queue;
use crate::{Config, Enqueued, NewTask, Settlement, TaskState, idempotency};

// === impl Queue ===

impl Queue {
    /// Takes in what a completion brings for this queue, and posts the rest; answers where those tasks are.
    pub(super) fn enqueue_next(&mut self, item: &Settlement, now: Timestamp, config: &Config) -> Vec<Enqueued> {
        let next = item.outcome.next();
        // Those of other queues first: ours may wait for them, which must be said to their queue after they are.
        for (queue, task) in next.iter().filter(|(queue, _)| *queue != self.name) {
            self.outbox.post_task(queue, task, now);
        }
        let own = next.iter().filter(|(queue, _)| *queue == self.name);
        let own: Vec<NewTask> = own.map(|(_, task)| task.clone()).collect();
        let mut own = self.bring_in(&own, now, config).into_iter();
        let answer = |(queue, task): &(QueueName, NewTask)| match *queue == self.name {
            true => own.next(),
            false => Some(task.beginning()),
        };
        next.iter().filter_map(answer).collect()
    }

    /// Where the tasks are that a completion brought when it was applied.
    pub(super) fn enqueued_next(&self, item: &Settlement, now: Timestamp) -> Vec<Enqueued> {
        let answer = |(queue, task): &(QueueName, NewTask)| match *queue == self.name {
            true => self.where_now(task, now),
            false => task.beginning(),
        };
        item.outcome.next().iter().map(answer).collect()
    }

    /// Adds what another task brings.
    pub(super) fn bring_in(&mut self, tasks: &[NewTask], now: Timestamp, config: &Config) -> Vec<Enqueued> {
        self.take_in(tasks, now, config).unwrap_or_else(|error| {
            // Only an idempotency key is refused, and the manager lets none come with a completion.
            let error = &error as &dyn std::error::Error;
            tracing::error!(queue.name = %self.name, error, "what a task brought is lost");
            Vec::new()
        })
    }

    fn where_now(&self, task: &NewTask, now: Timestamp) -> Enqueued {
        let stands = || task.options.unique.as_ref().and_then(|unique| self.holder(idempotency::digest(&unique.key)));
        let known = |id: TaskId| self.state(id, now).map(|state| (id, state));
        let found = known(task.id).or_else(|| stands().and_then(known));
        let (id, state) = found.unwrap_or((task.id, TaskState::Completed));
        Enqueued { id, state, replayed: true }
    }
}
