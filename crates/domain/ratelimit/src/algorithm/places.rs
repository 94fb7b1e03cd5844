//! Places that are held while something runs, each until its lease ends.

use std::collections::HashMap;

use super::{Room, Wait};
use crate::{Quota, ReservationId};

/// Who holds a place until when, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    held: HashMap<ReservationId, u64>,
}

// === impl Places ===

impl Places {
    fn living(&self, now: u64) -> impl Iterator<Item = u64> {
        self.held.values().copied().filter(move |until| *until > now)
    }

    pub(crate) fn wait(&self, quota: &Quota, now: u64, id: Option<ReservationId>) -> Wait {
        let is_held = id.and_then(|id| self.held.get(&id)).is_some_and(|until| *until > now);
        if is_held || (self.living(now).count() as u64) < quota.limit {
            return Wait::No;
        }
        self.living(now).min().map_or(Wait::Forever, |until| Wait::Millis(until - now))
    }

    pub(crate) fn add(&mut self, quota: &Quota, now: u64, id: ReservationId) {
        self.held.retain(|_, until| *until > now);
        self.held.insert(id, now + quota.window_ms());
    }

    /// Holds a place for longer; false when it is lost.
    pub(crate) fn renew(&mut self, quota: &Quota, now: u64, id: ReservationId) -> bool {
        match self.held.get_mut(&id) {
            Some(until) if *until > now => {
                *until = now + quota.window_ms();
                true
            }
            _ => false,
        }
    }

    pub(crate) fn leave(&mut self, id: ReservationId) {
        self.held.remove(&id);
    }

    pub(crate) fn room(&self, quota: &Quota, now: u64) -> Room {
        let reset = self.living(now).max().map_or(0, |until| until - now);
        Room { remaining: quota.limit.saturating_sub(self.living(now).count() as u64), reset }
    }
}
