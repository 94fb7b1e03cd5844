//! The conservation audit: whether every task that was ever accepted is accounted for.

/// How the places of a queue were counted, all at the same moment.
///
/// Two counts meet here that know nothing of each other: what the queue noted whenever it took in or let go of a task,
/// and what stands in its places now.
///
/// ```
/// use trackside_queue::{Places, QueueAudit};
/// let audit = QueueAudit::of(Places { created: 3, completed: 1, records: 2, listed: 1, active: 1, ..Places::default() });
/// assert!(audit.is_balanced());
/// assert_eq!((audit.ready, audit.active, audit.completed), (1, 1, 1));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// Tasks ever accepted.
    pub created: u64,
    /// Tasks ever completed.
    pub completed: u64,
    /// Tasks ever called off.
    pub cancelled: u64,
    /// Dead letters ever purged.
    pub purged: u64,
    /// Unfinished tasks, wherever they are.
    pub records: u64,
    /// Elements of the ready lists, without those whose task was cancelled: tasks, and elements that a plain client
    /// pushed and no worker has met.
    pub listed: u64,
    /// Tasks under lease.
    pub active: u64,
    /// Tasks that are not due.
    pub delayed: u64,
    /// Tasks that wait for others.
    pub waiting: u64,
    /// Tasks held back by the brake.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Where every task of a queue is that was ever accepted (Q-L29).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueAudit {
    /// Tasks ever accepted; the sum of the following when the queue is balanced.
    pub created: u64,
    /// Ready tasks.
    pub ready: u64,
    /// Tasks under lease.
    pub active: u64,
    /// Tasks that are not due, retries included.
    pub delayed: u64,
    /// Tasks that wait for others.
    pub waiting: u64,
    /// Tasks held back by the brake.
    pub parked: u64,
    /// Tasks ever completed.
    pub completed: u64,
    /// Dead letters.
    pub dead: u64,
    /// Tasks ever called off.
    pub cancelled: u64,
    /// Dead letters ever purged.
    pub purged: u64,
    /// Elements that a plain client pushed and no worker has met: no tasks yet, and not in `created`.
    pub unadopted: u64,
    /// Tasks that are in no place, so that no worker will ever meet them: 0, unless somebody wrote into the keys of the
    /// queue, or the server lost writes. A repair returns them.
    pub unplaced: u64,
}

// === impl QueueAudit ===

impl QueueAudit {
    /// Draws the balance. What is in no other place must be ready; what is listed beyond that was pushed from outside.
    #[must_use]
    pub const fn of(places: Places) -> Self {
        let elsewhere = places.active + places.delayed + places.waiting + places.parked + places.dead;
        let must_be_ready = places.records.saturating_sub(elsewhere);
        let ready = if places.listed < must_be_ready { places.listed } else { must_be_ready };
        Self {
            created: places.created,
            ready,
            active: places.active,
            delayed: places.delayed,
            waiting: places.waiting,
            parked: places.parked,
            completed: places.completed,
            dead: places.dead,
            cancelled: places.cancelled,
            purged: places.purged,
            unadopted: places.listed - ready,
            unplaced: must_be_ready - ready,
        }
    }

    /// Whether every task is accounted for, and in one place.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        let unfinished = self.ready + self.active + self.delayed + self.waiting + self.parked + self.dead;
        self.created == unfinished + self.completed + self.cancelled + self.purged && self.unplaced == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        created: 20,
        completed: 6,
        cancelled: 2,
        purged: 1,
        records: 11,
        listed: 4,
        active: 3,
        delayed: 1,
        waiting: 1,
        parked: 1,
        dead: 1,
    };

    #[test]
    fn a_queue_in_order_is_balanced() {
        let audit = QueueAudit::of(PLACES);
        assert!(audit.is_balanced(), "{audit:?}");
        assert_eq!((audit.ready, audit.unadopted, audit.unplaced), (4, 0, 0));
    }

    #[test]
    fn what_a_plain_client_pushed_is_told_apart() {
        let audit = QueueAudit::of(Places { listed: 9, ..PLACES });
        assert!(audit.is_balanced(), "{audit:?}");
        assert_eq!((audit.ready, audit.unadopted), (4, 5));
    }

    #[test]
    fn a_task_without_a_place_is_noticed() {
        let audit = QueueAudit::of(Places { listed: 3, ..PLACES });
        assert!(!audit.is_balanced());
        assert_eq!(audit.unplaced, 1);
        let audit = QueueAudit::of(Places { active: 2, ..PLACES });
        assert_eq!((audit.is_balanced(), audit.unplaced), (false, 1));
    }

    #[test]
    fn a_task_that_vanished_is_noticed() {
        assert!(!QueueAudit::of(Places { records: 10, ..PLACES }).is_balanced());
        assert!(!QueueAudit::of(Places { records: 0, listed: 0, ..PLACES }).is_balanced());
    }
}
