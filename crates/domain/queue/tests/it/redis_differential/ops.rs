//! The operations, and how they are drawn.

use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use trackside_queue::{QueuePolicy, Rate};

/// One operation. Numbers choose among the tasks and claims that exist, whatever their count.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Enqueue(Vec<Plan>),
    EnqueueAgain(usize),
    Step {
        credits: usize,
        settle: Vec<(usize, Ending)>,
        renew: Vec<usize>,
    },
    Advance(u64),
    Cancel(usize),
    Brake {
        user: Option<u8>,
        engaged: bool,
        revision: u64,
    },
    Unpark {
        user: Option<u8>,
        limit: usize,
    },
    Pause(bool),
    Limit(usize),
    Requeue(Vec<usize>),
    Purge(Vec<usize>),
    Look(usize),
    /// A completion, and what it brings.
    Bring(usize, Vec<Plan>),
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) priority: u8,
    pub(super) user: Option<u8>,
    pub(super) tenant: Option<u8>,
    pub(super) delayed: bool,
    pub(super) long_lease: bool,
    pub(super) max_attempts: u32,
    pub(super) retry: u8,
    /// Digits of base 3: its unique key, its idempotency key, its retention; mostly none of them.
    pub(super) special: u8,
    /// Tasks that it waits for, and whether it goes on when one of them fails.
    pub(super) after: Vec<usize>,
    pub(super) goes_on: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    Completed,
    Failed,
    FailedAtOnce,
    FailedForGood,
    Released,
    Cancelled,
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let user = prop_oneof![3 => Just(None), 2 => (0..3_u8).prop_map(Some)];
    let tenant = prop_oneof![2 => Just(None), 3 => (0..4_u8).prop_map(Some)];
    let after = prop_oneof![3 => Just(vec![]), 2 => prop::collection::vec(any::<usize>(), 1..4)];
    (
        (0..4_u8, user, tenant),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        1..4_u32,
        0..3_u8,
        prop_oneof![2 => Just(0), 1 => 0..27_u8],
        (after, any::<bool>()),
    )
        .prop_map(
            |((priority, user, tenant), delayed, long_lease, max_attempts, retry, special, (after, goes_on))| Plan {
                priority,
                user,
                tenant,
                delayed,
                long_lease,
                max_attempts,
                retry,
                special,
                after,
                goes_on,
            },
        )
}

pub(super) fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Completed),
        Just(Ending::Failed),
        Just(Ending::FailedAtOnce),
        Just(Ending::FailedForGood),
        Just(Ending::Released),
        Just(Ending::Cancelled),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let user = || prop_oneof![1 => Just(None), 3 => (0..3_u8).prop_map(Some)];
    let some = || prop::collection::vec(any::<usize>(), 0..4);
    let step = (0..6_usize, prop::collection::vec((any::<usize>(), ending()), 0..4), some());
    prop_oneof![
        4 => prop::collection::vec(plan(), 1..5).prop_map(Op::Enqueue),
        1 => any::<usize>().prop_map(Op::EnqueueAgain),
        8 => step.prop_map(|(credits, settle, renew)| Op::Step { credits, settle, renew }),
        2 => (1..40_u64).prop_map(Op::Advance),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => (user(), any::<bool>(), 0..20_u64).prop_map(|(user, engaged, revision)| Op::Brake { user, engaged, revision }),
        1 => (user(), 0..4_usize).prop_map(|(user, limit)| Op::Unpark { user, limit }),
        1 => prop::bool::weighted(0.3).prop_map(Op::Pause),
        2 => any::<usize>().prop_map(Op::Limit),
        1 => some().prop_map(Op::Requeue),
        1 => some().prop_map(Op::Purge),
        2 => any::<usize>().prop_map(Op::Look),
    ]
}

pub(super) fn op_of_chains() -> impl Strategy<Value = Op> {
    let bring =
        (any::<usize>(), prop::collection::vec(plan(), 0..4)).prop_map(|(claim, plans)| Op::Bring(claim, plans));
    prop_oneof![4 => op(), 1 => bring]
}

/// Their durations, and all multiples of them that matter, end between two operations too.
pub(super) fn policies() -> Vec<QueuePolicy> {
    let (none, many) = (QueuePolicy::default(), NonZeroU32::new);
    let rate = |per, burst| {
        let rate = Rate::new(NonZeroU32::MIN, Duration::from_secs(per));
        Some(Rate { burst: many(burst), ..rate })
    };
    let age_after = Some(Duration::from_secs(1_050));
    vec![
        none.clone(),
        QueuePolicy { max_active: many(3), ..none.clone() },
        QueuePolicy { rate: rate(337, 3), ..none.clone() },
        QueuePolicy { fair: many(1), ..none.clone() },
        QueuePolicy { fair: many(2), max_active: many(4), ..none.clone() },
        QueuePolicy { tenant_max_active: many(1), ..none.clone() },
        QueuePolicy { tenant_rate: rate(1_137, 2), ..none.clone() },
        QueuePolicy { tenant_max_active: many(2), tenant_rate: rate(437, 1), fair: many(3), ..none.clone() },
        QueuePolicy { age_after, ..none.clone() },
        QueuePolicy { age_after, fair: many(2), tenant_max_active: many(2), rate: rate(137, 4), ..none },
    ]
}
