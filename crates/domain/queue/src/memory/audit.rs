//! The conservation audit, in memory.

use super::queue::Queue;
use crate::{Places, QueueAudit};

impl Queue {
    /// Counted over the indexes, which repeat what each task says of its place (Q-L29).
    pub(super) fn audit(&self) -> QueueAudit {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        QueueAudit::of(Places {
            created: self.counters.created,
            completed: self.counters.completed,
            cancelled: self.counters.cancelled,
            purged: self.counters.purged,
            records: count(self.tasks.len()),
            listed: self.ready.iter().zip(&self.shared).map(|(lane, shares)| count(lane.len() + shares.len())).sum(),
            active: count(self.leases.len()),
            delayed: count(self.delayed.len()),
            waiting: count(self.links.waiting()),
            parked: self.parked.values().map(|ids| count(ids.len())).sum(),
            dead: count(self.dead.len()),
        })
    }
}
