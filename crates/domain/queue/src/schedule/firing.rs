//! The task of a slot: its id and its jitter follow from the schedule and the slot, whoever makes it.

use std::time::Duration;

use sha2::{Digest, Sha256};
use trackside_core::{TaskId, Timestamp};

use super::{Schedule, Slot};
use crate::{NewTask, TaskOptions, limits};

/// When the task of a slot is enqueued.
pub(super) fn run_at(schedule: &Schedule, slot: Timestamp) -> Timestamp {
    let bound = limits::millis(schedule.jitter);
    if bound == 0 {
        return slot;
    }
    slot.plus(Duration::from_millis(hash(schedule, "jitter", slot.as_millis()) % (bound + 1)))
}

/// A slot with the time at which somebody has to look at it.
pub(super) fn slot(schedule: &Schedule, at: Timestamp) -> Slot {
    Slot { at, due: run_at(schedule, at) }
}

/// The task of a slot. Its id is always the same, so that a queue takes it in once (Q-L1); its time is the slot's.
pub(super) fn task(schedule: &Schedule, slot: Timestamp) -> NewTask {
    with_id(schedule, TaskId::derived(&schedule.queue, slot, hash(schedule, "slot", slot.as_millis())))
}

/// A task that somebody asked for, besides the slots.
pub(super) fn extra_task(schedule: &Schedule) -> NewTask {
    with_id(schedule, TaskId::generate(&schedule.queue))
}

fn with_id(schedule: &Schedule, id: TaskId) -> NewTask {
    let said = &schedule.options;
    let options = TaskOptions {
        priority: said.priority,
        timeout: said.timeout,
        max_attempts: said.max_attempts,
        retry: said.retry.clone(),
        lease: said.lease,
        user_id: said.user_id.clone(),
        project_id: said.project_id.clone(),
        tenant_id: said.tenant_id.clone(),
        tags: said.tags.clone(),
        ..TaskOptions::default()
    };
    NewTask { id, kind: schedule.kind.clone(), payload: schedule.payload.clone(), options }
}

/// 64 bits of SHA-256: they stand in ids, so how they are made must never change.
fn hash(schedule: &Schedule, what: &str, number: u64) -> u64 {
    let mut sha = Sha256::new();
    // No part can hold the separator.
    for part in [what, schedule.queue.as_str(), schedule.name.as_str()] {
        sha.update(part);
        sha.update([0]);
    }
    sha.update(number.to_be_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&sha.finalize()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::When;

    fn hourly() -> Schedule {
        let when = When::Every { interval: Duration::from_secs(3_600) };
        let mut schedule = Schedule::new("hourly".parse().unwrap(), "exports".parse().unwrap(), when, "k", "{}");
        schedule.jitter = Duration::from_secs(60);
        schedule
    }

    #[test]
    fn the_id_of_a_slot_never_changes() {
        let id = task(&hourly(), Timestamp::from_millis(1_767_225_600_000)).id;
        assert_eq!(id.to_string(), "019b76da-a800-786c-8f43-52c7e19c7fbb");
    }

    #[test]
    fn two_slots_two_schedules_and_two_queues_have_different_ids() {
        let (schedule, at) = (hourly(), Timestamp::from_millis(1_767_225_600_000));
        let other_name = Schedule { name: "hourly2".parse().unwrap(), ..schedule.clone() };
        let other_queue = Schedule { queue: "exports2".parse().unwrap(), ..schedule.clone() };
        let ids = [
            task(&schedule, at).id,
            task(&schedule, Timestamp::from_millis(1_767_229_200_000)).id,
            task(&other_name, at).id,
            task(&other_queue, at).id,
        ];
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn jitter_is_bounded_spread_and_the_same_for_everyone() {
        let schedule = hourly();
        let late = |hour: u64| {
            let at = Timestamp::from_millis(hour * 3_600_000);
            assert_eq!(run_at(&schedule, at), run_at(&schedule.clone(), at));
            run_at(&schedule, at).millis_since(at)
        };
        let lates: Vec<u64> = (0..100).map(late).collect();
        assert!(lates.iter().all(|late| *late <= 60_000));
        assert!(lates.iter().min() < Some(&10_000) && lates.iter().max() > Some(&50_000), "{lates:?}");
    }
}
