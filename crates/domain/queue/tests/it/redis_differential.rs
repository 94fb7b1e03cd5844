//! Random operations on memory and on Redis, one after the other: both must answer alike.
//!
//! Operations are a hundred seconds apart, and each kind of duration ends at a place of its own between two of them, so
//! that the milliseconds which pass on a real server decide nothing. Sequences that once failed are kept in `redis_differential.seeds` and run first.

mod ops;

use std::{collections::BTreeSet, fmt::Write, num::NonZeroU32, sync::Arc, time::Duration};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use trackside_core::{ManualClock, QueueName, Timestamp, UserId, WorkerId};
use trackside_queue::{
    BrakeChange, BrakeScope, ClaimedTask, Config, DeadCursor, Due, Error, MemoryQueueStore, NewTask, OnFailure,
    Outcome, Priority, QueueStats, QueueStore, Renewal, Renewed, RetryPolicy, Settlement, Step, StepReply, TaskOptions,
    TaskStatus, Unique, UniqueUntil, conformance::Harness,
};
use trackside_testkit::RedisServer;

use self::ops::{Ending, Op, Plan, op, op_of_chains, policies};
use crate::{
    kit::{new_task, refs},
    names::unique_queue,
    redis_kit::OnRedis,
};

/// Passes before each operation, so that no two have the same time.
const TICK: Duration = Duration::from_secs(100);
/// The lease of a claim, of a task that asks for one of its own, and of a renewal.
const LEASES: [Duration; 3] = [Duration::from_secs(6_000), Duration::from_secs(10_010), Duration::from_secs(6_020)];
const DELAY: Duration = Duration::from_secs(2_030);
/// Of tasks that ask for one of their own.
const RETENTION: Duration = Duration::from_secs(3_040);

/// What both stores are asked, and what came back from the one that is compared with.
struct World {
    queue: QueueName,
    worker: WorkerId,
    tasks: Vec<NewTask>,
    claims: Vec<ClaimedTask>,
}

impl World {
    fn make(&self, plan: &Plan) -> NewTask {
        let mut task = new_task(&self.queue);
        task.options.priority = Priority::ALL[usize::from(plan.priority)];
        task.options.user_id = plan.user.map(user);
        task.options.tenant_id = plan.tenant.map(|tenant| format!("tenant {tenant}"));
        task.options.due = if plan.delayed { Due::After(DELAY) } else { Due::Now };
        task.options.lease = plan.long_lease.then_some(LEASES[1]);
        let until = |key: u8| if key == 1 { UniqueUntil::Started } else { UniqueUntil::Done };
        let unique = |key: u8| Unique { key: "same".into(), until: until(key) };
        task.options.unique = Some(plan.special % 3).filter(|key| *key > 0).map(unique);
        // The key says what else differs, so that its second use is the same request.
        let request = format!("{plan:?}");
        task.options.idempotency_key = (plan.special / 3 % 3 == 1).then_some(request);
        task.options.retention = [None, Some(RETENTION), Some(Duration::ZERO)][usize::from(plan.special / 9)];
        task.options.max_attempts = NonZeroU32::new(plan.max_attempts).unwrap();
        task.options.retry = match plan.retry {
            0 => RetryPolicy::Fixed { delay_ms: 0 },
            1 => RetryPolicy::Fixed { delay_ms: 1_960_000 },
            _ => RetryPolicy::List { delays_ms: vec![570_000, 1_040_000] },
        };
        let recent = self.tasks.len().saturating_sub(12);
        let before = |index: &usize| self.tasks[recent..].get(index.checked_rem(self.tasks.len() - recent)?);
        task.options.depends_on = plan.after.iter().filter_map(before).map(|task| task.id.into()).collect();
        task.options.on_failure = if plan.goes_on { OnFailure::Continue } else { OnFailure::Fail };
        task
    }

    fn task(&self, index: usize) -> Option<&NewTask> {
        self.tasks.get(index.checked_rem(self.tasks.len())?)
    }

    fn claim(&self, index: usize) -> Option<&ClaimedTask> {
        // Recent ones more often: old claims are all lost.
        let recent = self.claims.len().min(12);
        self.claims.iter().rev().nth(index.checked_rem(recent)?)
    }

    fn ids(&self, indices: &[usize]) -> Vec<trackside_core::TaskId> {
        indices.iter().filter_map(|index| self.task(*index)).map(|task| task.id).collect()
    }

    fn step(&self, credits: usize, settle: &[(usize, Ending)], renew: &[usize]) -> Step {
        let settlement = |(index, ending): &(usize, Ending)| {
            let claim = self.claim(*index)?;
            let failed =
                |retryable, retry_after| Outcome::Failed { error: "no \"luck\"".into(), retryable, retry_after };
            let outcome = match ending {
                Ending::Completed => Outcome::completed(Some("[1]".into())),
                Ending::Failed => failed(true, None),
                Ending::FailedAtOnce => failed(true, Some(Duration::ZERO)),
                Ending::FailedForGood => failed(false, None),
                Ending::Released => Outcome::Released,
                Ending::Cancelled => Outcome::Cancelled { reason: "by hand".into() },
            };
            Some(Settlement { id: claim.id, fence: claim.fence, outcome })
        };
        let renewal = |index: &usize| {
            let claim = self.claim(*index)?;
            Some(Renewal { id: claim.id, fence: claim.fence, lease: LEASES[2] })
        };
        Step {
            settle: settle.iter().filter_map(settlement).collect(),
            renew: renew.iter().filter_map(renewal).collect(),
            credits,
            tell_attempts: true,
            ..Step::new(self.worker.clone(), LEASES[0])
        }
    }

    /// Runs one operation on one store; answers what can be seen, without times, and what was claimed.
    async fn run(&self, store: &dyn QueueStore, op: &Op, new: &[NewTask]) -> (String, Vec<ClaimedTask>) {
        let (queue, mut seen, mut claimed) = (&self.queue, String::new(), Vec::new());
        match op {
            Op::Enqueue(_) | Op::EnqueueAgain(_) => match store.enqueue(queue, new).await {
                Err(Error::Item { index, source }) => show(&mut seen, &(index, source.to_string())),
                answer => show(&mut seen, &answer.unwrap()),
            },
            Op::Step { credits, settle, renew } => {
                let mut reply = store.step(queue, self.step(*credits, settle, renew)).await.unwrap();
                // A store may pass over a few braked tasks at a time; then it says that more is ready.
                for _ in 0..64 {
                    let left = credits - reply.claimed.len();
                    if left == 0 || !reply.more_ready {
                        break;
                    }
                    let next = store.step(queue, self.step(left, &[], &[])).await.unwrap();
                    let claimed = std::mem::take(&mut reply.claimed).into_iter().chain(next.claimed).collect();
                    let StepReply { settled, attempts, renewed, .. } = reply;
                    reply = StepReply { settled, attempts, renewed, claimed, ..next };
                }
                let kinds: Vec<_> = reply.attempts.iter().map(|it| it.as_ref().map(|it| &it.kind)).collect();
                show(&mut seen, &kinds);
                show(&mut seen, &(reply.settled, reply.more_ready, reply.paused, reply.next_due.is_some()));
                let timeless = |renewed: &Renewed| match renewed {
                    Renewed::Extended { order, .. } => Some(*order),
                    Renewed::LeaseLost => None,
                };
                show(&mut seen, &reply.renewed.iter().map(timeless).collect::<Vec<_>>());
                for task in &reply.claimed {
                    let epoch = Timestamp::from_millis(0);
                    show(&mut seen, &ClaimedTask { lease_expires_at: epoch, enqueued_at: epoch, ..task.clone() });
                }
                claimed = reply.claimed;
            }
            Op::Bring(index, _) => {
                let Some(claim) = self.claim(*index) else { return (seen, claimed) };
                let next = new.iter().map(|task| (queue.clone(), task.clone())).collect();
                let outcome = Outcome::Completed { result: None, next };
                let settle = vec![Settlement { id: claim.id, fence: claim.fence, outcome }];
                let reply = store.step(queue, Step { settle, ..self.step(0, &[], &[]) }).await.unwrap();
                show(&mut seen, &(reply.settled, reply.next.get(&claim.id), reply.more_ready, reply.has_outbox));
            }
            Op::Advance(_) => {}
            Op::Cancel(index) => {
                if let Some(task) = self.task(*index) {
                    show(&mut seen, &store.cancel(queue, task.id, "called off").await.unwrap());
                }
            }
            Op::Brake { user, engaged, revision } => {
                let change = BrakeChange { scope: scope(*user), engaged: *engaged, revision: *revision };
                store.set_brake(queue, &change).await.unwrap();
            }
            Op::Unpark { user, limit } => {
                show(&mut seen, &store.unpark(queue, &scope(*user), *limit).await.unwrap());
            }
            Op::Pause(paused) => store.set_paused(queue, *paused).await.unwrap(),
            Op::Limit(index) => {
                let policies = policies();
                store.set_policy(queue, &policies[index % policies.len()]).await.unwrap();
                show(&mut seen, &store.policy(queue).await.unwrap());
            }
            Op::Requeue(indices) => {
                show(&mut seen, &store.requeue_dead(queue, &refs(&self.ids(indices))).await.unwrap());
            }
            Op::Purge(indices) => show(&mut seen, &store.purge_dead(queue, &refs(&self.ids(indices))).await.unwrap()),
            Op::Look(index) => self.look(store, *index, &mut seen).await,
        }
        let stats = store.stats(queue).await.unwrap();
        let there =
            stats.ready.iter().sum::<u64>() + stats.active + stats.delayed + stats.waiting + stats.parked + stats.dead;
        assert_eq!(stats.created, there + stats.completed + stats.cancelled + stats.purged, "nothing is lost");
        show(
            &mut seen,
            &(stats.oldest_age.is_some(), QueueStats { oldest_age: None, workers: 0, slots: 0, bytes: 0, ..stats }),
        );
        // Who holds nothing is listed for a time that each store measures in its own way.
        let held = store.workers(queue).await.unwrap().into_iter().filter(|worker| worker.active > 0);
        for worker in held {
            let ids: BTreeSet<_> = worker.tasks.iter().map(|task| task.id).collect();
            show(&mut seen, &(worker.id, worker.active, ids));
        }
        (seen, claimed)
    }

    async fn look(&self, store: &dyn QueueStore, index: usize, seen: &mut String) {
        let peeked = store.peek(&self.queue, 1 + index % 5).await.unwrap();
        show(seen, &peeked.iter().map(|task| (task.id, task.priority, &task.payload)).collect::<Vec<_>>());
        let first = store.dead_letters(&self.queue, None, 2).await.unwrap();
        let cursor = first
            .last()
            .and_then(|letter| Some(DeadCursor { died_at: letter.status.finished_at?, id: letter.status.id }));
        for letter in first.into_iter().chain(store.dead_letters(&self.queue, cursor, 3).await.unwrap()) {
            show(seen, &(timeless(letter.status), letter.payload, letter.crashes));
        }
        for task in self.tasks.iter().rev().take(8).chain(self.task(index)) {
            show(seen, &store.status(&self.queue, task.id).await.unwrap().map(timeless));
        }
    }
}

fn show(seen: &mut String, what: &impl std::fmt::Debug) {
    writeln!(seen, "{what:?}").unwrap();
}

/// The status with the presence of its times instead of the times.
fn timeless(mut status: TaskStatus) -> (TaskStatus, [bool; 3]) {
    let times = [status.due_at.is_some(), status.started_at.is_some(), status.finished_at.is_some()];
    let enqueued_at = Timestamp::from_millis(0);
    for past in &mut status.history {
        (past.started_at, past.ended_at) = (enqueued_at, enqueued_at);
    }
    (TaskStatus { enqueued_at, due_at: None, started_at: None, finished_at: None, ..status }, times)
}

fn user(number: u8) -> UserId {
    format!("user-{number}").parse().unwrap()
}

fn scope(number: Option<u8>) -> BrakeScope {
    number.map_or(BrakeScope::Everyone, |number| BrakeScope::User(user(number)))
}

async fn compare(ops: Vec<Op>) {
    let config = Config {
        stall_threshold: Duration::from_secs(3_350),
        stall_grace: Duration::from_secs(1_250),
        retention: Duration::from_secs(30_050),
        ..Config::default()
    };
    let clock = ManualClock::default();
    let memory = MemoryQueueStore::new(config.clone(), Arc::new(clock.clone()));
    let server = RedisServer::shared().await;
    let redis = OnRedis::at(&server.url(), &server.unique_prefix(), config).await;
    let worker = WorkerId::generate("differential");
    let mut world = World { queue: unique_queue(), worker, tasks: Vec::new(), claims: Vec::new() };
    for (number, op) in ops.iter().enumerate() {
        let passes = if let Op::Advance(ticks) = op { TICK * u32::try_from(*ticks).unwrap() } else { TICK };
        clock.advance(passes);
        redis.advance(passes).await;
        let new: Vec<NewTask> = match op {
            Op::Enqueue(plans) => plans.iter().map(|plan| world.make(plan)).collect(),
            // Where nothing is kept of a task that was cancelled, its id may stand in a list of Redis twice.
            Op::EnqueueAgain(index) => {
                world.task(*index).filter(|task| task.options.retention.is_none()).cloned().into_iter().collect()
            }
            Op::Bring(_, plans) => plans
                .iter()
                .map(|plan| {
                    let task = world.make(plan);
                    task.clone().with(TaskOptions { idempotency_key: None, ..task.options })
                })
                .collect(),
            _ => Vec::new(),
        };
        let (in_memory, claimed) = world.run(&memory, op, &new).await;
        let (on_redis, _) = world.run(&redis.store, op, &new).await;
        assert_eq!(in_memory, on_redis, "operation {number}: {op:?}");
        if let Op::Enqueue(_) | Op::Bring(..) = op {
            world.tasks.extend(new);
        }
        world.claims.extend(claimed);
    }
    redis.service.shutdown().await;
}

#[test]
fn memory_and_redis_answer_alike() {
    run("tests/it/redis_differential.seeds", 32, op());
}

#[test]
fn memory_and_redis_answer_alike_to_completions_that_bring_tasks() {
    run("tests/it/redis_differential_chains.seeds", 16, op_of_chains());
}

fn run(seeds: &'static str, cases: u32, op: impl Strategy<Value = Op>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let seeds = FileFailurePersistence::Direct(seeds);
    let config = ProptestConfig { cases, failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let sequences = prop::collection::vec(op, 1..80);
    let outcome = runner.run(&sequences, |ops| {
        runtime.block_on(compare(ops));
        Ok(())
    });
    if let Err(difference) = outcome {
        panic!("{difference}");
    }
}
