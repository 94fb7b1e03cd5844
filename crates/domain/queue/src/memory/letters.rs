//! Dead letters, in memory.

use trackside_core::{Timestamp, WorkerId};

use super::queue::{Ending, Place, Queue, Task};
use crate::{
    Config, DeadCursor, DeadLetter, DeadRef, PastAttempt, TaskState,
    letters::MAX_HISTORY,
    limits::{self, beginning},
};

impl Queue {
    /// Newest first, and by descending id among those that died in one millisecond.
    pub(super) fn dead_letters(&self, cursor: Option<DeadCursor>, limit: usize) -> Vec<DeadLetter> {
        let older = |(died_at, id)| cursor.is_none_or(|cursor| (died_at, id) < (cursor.died_at, cursor.id));
        let page = self.dead.iter().rev().filter(|at| older(**at)).take(limit);
        page.filter_map(|(_, id)| self.tasks.get(id))
            .map(|task| DeadLetter {
                status: self.unfinished_status(task),
                payload: task.new.payload.clone(),
                crashes: task.crashes,
            })
            .collect()
    }

    /// Returns dead letters to the tail of their level as if they had never been tried; answers how many.
    pub(super) fn requeue_dead(&mut self, letters: &[DeadRef], now: Timestamp) -> usize {
        let mut requeued = 0;
        for letter in letters {
            let Some(task) = self.tasks.get_mut(&letter.id) else { continue };
            if !matches!(task.place, Place::Dead { died_at } if letter.means(died_at)) {
                continue;
            }
            (task.failed, task.crashes, task.error, task.last_attempt) = (0, 0, None, None);
            task.history.clear();
            self.make_ready(letter.id, now);
            requeued += 1;
        }
        requeued
    }

    /// Removes dead letters; what remains is their status until its retention is over.
    pub(super) fn purge_dead(&mut self, letters: &[DeadRef], config: &Config) -> usize {
        let mut purged = 0;
        for letter in letters {
            let Some(task) = self.tasks.get(&letter.id) else { continue };
            let Place::Dead { died_at } = task.place else { continue };
            if !letter.means(died_at) {
                continue;
            }
            let (state, error, retention) = (TaskState::Dead, task.error.clone(), config.retention);
            self.finish(letter.id, Ending { state, result: None, error, at: died_at, retention });
            purged += 1;
        }
        purged
    }

    /// Dead letters that are kept no longer, oldest first (Q-L32).
    pub(super) fn overdue_dead(&self, now: Timestamp, config: &Config, limit: usize) -> Vec<DeadCursor> {
        let keep = usize::try_from(config.dead_max_count).unwrap_or(usize::MAX);
        let surplus = self.dead.len().saturating_sub(keep);
        let is_overdue = |at: usize, died_at| at < surplus || limits::later(died_at, config.dead_max_age) <= now;
        let oldest = self.dead.iter().enumerate().take_while(|(at, (died_at, _))| is_overdue(*at, *died_at));
        oldest.take(limit).map(|(_, (died_at, id))| DeadCursor { died_at: *died_at, id: *id }).collect()
    }
}

impl Task {
    /// Notes an attempt that failed or crashed (Q-L31).
    pub(super) fn remember(
        &mut self,
        attempt: u32,
        started_at: Timestamp,
        worker: &WorkerId,
        now: Timestamp,
        error: &str,
    ) {
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(0);
        }
        let (worker_id, error) = (worker.to_string(), beginning(error).to_owned());
        self.history.push(PastAttempt { attempt, started_at, ended_at: now, worker_id, error });
    }
}
