//! The manager: what it refuses, how it finds a task by its id alone, and what remote workers get.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use trackside_core::{ErrorKind, QueueName, TaskId};
use trackside_queue::{
    BrakeChange, BrakeScope, CancelOutcome, DeadFilter, Due, Enqueued, Error, ExtendRequest, Fence, LeaseRequest,
    NewTask, Order, Outcome, QueueManager, QueueStore, RegistrationHook, RetryPolicy, Settlement, Swept, TaskOptions,
    TaskState, Unique, UniqueUntil,
};

use crate::{
    names::unique_queue,
    processor_kit::{Bench, Line, Wire},
};

fn request(max_tasks: usize, wait: Duration) -> LeaseRequest {
    LeaseRequest { worker_id: "remote-1".parse().unwrap(), max_tasks, lease: None, wait }
}

async fn leased(bench: &Bench) -> (TaskId, Fence) {
    bench.enqueue(bench.task("work")).await;
    let tasks = bench.queues.lease(&bench.queue, request(1, Duration::ZERO)).await.unwrap();
    (tasks[0].id, tasks[0].fence)
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_task_is_said_by_field_and_nothing_is_added() {
    let bench = Bench::new();
    let ten_thousand_years = Duration::from_secs(10_000 * 366 * 86_400);
    let with = |options: TaskOptions| bench.task("work").with(options);
    let cases: Vec<(&str, NewTask)> = vec![
        ("id", NewTask::new(&"another".parse().unwrap(), "work", "{}")),
        ("kind", bench.task("")),
        ("kind", bench.task("wörk")),
        ("kind", bench.task("a\nb")),
        ("kind", bench.task(&"x".repeat(129))),
        ("payload", NewTask::new(&bench.queue, "work", "{\"open\": ")),
        ("payload", NewTask::new(&bench.queue, "work", "{} {}")),
        ("payload", NewTask::new(&bench.queue, "work", "")),
        ("payload", NewTask::new(&bench.queue, "work", &b"{\"a\": \"\xff\"}"[..])),
        ("payload", NewTask::new(&bench.queue, "work", format!("\"{}\"", "x".repeat(256 * 1024)))),
        ("project_id", with(TaskOptions { project_id: Some(String::new()), ..TaskOptions::default() })),
        ("tenant_id", with(TaskOptions { tenant_id: Some("a\0b".into()), ..TaskOptions::default() })),
        ("timeout_ms", with(TaskOptions { timeout: Some(Duration::ZERO), ..TaskOptions::default() })),
        ("lease_ms", with(TaskOptions { lease: Some(ten_thousand_years), ..TaskOptions::default() })),
        ("lease_ms", with(TaskOptions { lease: Some(Duration::from_millis(99)), ..TaskOptions::default() })),
        ("retention_ms", with(TaskOptions { retention: Some(ten_thousand_years), ..TaskOptions::default() })),
        (
            "unique",
            with(TaskOptions {
                unique: Some(Unique { key: String::new(), until: UniqueUntil::Done }),
                ..TaskOptions::default()
            }),
        ),
        ("tags", with(TaskOptions { tags: vec!["a".into(); 17], ..TaskOptions::default() })),
        ("idempotency_key", with(TaskOptions { idempotency_key: Some("ü".into()), ..TaskOptions::default() })),
        ("run_at", with(TaskOptions { due: Due::After(ten_thousand_years), ..TaskOptions::default() })),
        ("retry", with(TaskOptions { retry: RetryPolicy::Fixed { delay_ms: u64::MAX }, ..TaskOptions::default() })),
    ];
    for (expected, task) in cases {
        let described = format!("{task:?}").chars().take(200).collect::<String>();
        match bench.queues.enqueue_many(&bench.queue, vec![bench.task("good"), task]).await {
            Err(Error::Item { index: 1, source }) => {
                assert!(
                    matches!(*source, Error::InvalidTask { field, .. } if field == expected),
                    "{described}: {source}"
                );
            }
            other => panic!("{expected}: {other:?} for {described}"),
        }
    }
    assert_eq!(bench.queues.stats(&bench.queue).await.unwrap().created, 0);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_tasks_may_be_added_at_once_and_again_without_doubling() {
    let bench = Bench::new();
    let tasks: Vec<_> = (0..1_000).map(|_| bench.task("work")).collect();
    for replayed in [false, true] {
        let answers = bench.queues.enqueue_many(&bench.queue, tasks.clone()).await.unwrap();
        let expected = |task: &NewTask| Enqueued { id: task.id, state: TaskState::Queued, replayed };
        assert_eq!(answers, tasks.iter().map(expected).collect::<Vec<_>>());
    }
    assert_eq!(bench.queues.stats(&bench.queue).await.unwrap().ready, [0, 0, 1_000, 0]);
    let next = bench.queues.peek(&bench.queue, 10_000).await.unwrap();
    assert_eq!(next[0].id, Some(tasks[0].id), "first in, first out; and a page is a page");
    assert_eq!(next.len(), trackside_queue::MAX_BATCH);
}

#[tokio::test(start_paused = true)]
async fn a_hook_runs_once_before_a_queue_is_used_and_again_when_it_failed() {
    #[derive(Debug, Default)]
    struct Hook(AtomicUsize);
    #[async_trait]
    impl RegistrationHook for Hook {
        async fn on_register(&self, queues: &QueueManager, queue: &QueueName) -> Result<(), Error> {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err(Error::Store { operation: "hook", kind: ErrorKind::Unavailable, source: "away".into() });
            }
            let everyone = BrakeChange { scope: BrakeScope::Everyone, engaged: true, revision: 1 };
            queues.set_brake(queue, &everyone).await
        }
    }
    let (bench, hook) = (Bench::new(), Arc::new(Hook::default()));
    bench.queues.on_register(hook.clone());
    let failure = bench.queues.enqueue(&bench.queue, bench.task("work")).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Unavailable);
    let many = (0..10).map(|_| bench.queues.enqueue(&bench.queue, bench.task("work")));
    futures::future::try_join_all(many).await.unwrap();
    assert_eq!(hook.0.load(Ordering::SeqCst), 2, "failed once, succeeded once");
    let leased = bench.queues.lease(&bench.queue, request(10, Duration::ZERO)).await.unwrap();
    assert_eq!(leased, [], "the brake was there before the first task");
    assert_eq!(bench.queues.parked(&BrakeScope::Everyone).await.unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_found_by_its_id_alone_by_a_manager_that_never_met_its_queue() {
    let bench = Bench::new();
    for _ in 0..20 {
        let other = unique_queue();
        bench.queues.enqueue(&other, NewTask::new(&other, "work", "{}")).await.unwrap();
    }
    let (id, fence) = leased(&bench).await;
    let stranger = || QueueManager::new(Arc::new(bench.store.clone()), bench.queues.config().clone());
    assert_eq!(stranger().status(id).await.unwrap().unwrap().queue, bench.queue);
    let extension = stranger().extend(id, fence, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(extension.orders, []);
    assert_eq!(stranger().ack(id, fence, None).await.unwrap(), TaskState::Completed);
    assert_eq!(stranger().status(TaskId::generate(&bench.queue)).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_remote_worker_waits_for_work_and_gets_it_at_once() {
    let bench = Bench::new();
    let begun = Instant::now();
    let none = bench.queues.lease(&bench.queue, request(1, Duration::from_secs(30))).await.unwrap();
    assert_eq!((none.len(), begun.elapsed().as_secs()), (0, 30));
    let (queues, queue) = (bench.queues.clone(), bench.queue.clone());
    let waiting = tokio::spawn(async move { queues.lease(&queue, request(5, Duration::from_secs(30))).await });
    sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    let id = bench.enqueue(bench.task("work")).await;
    let tasks = waiting.await.unwrap().unwrap();
    assert_eq!(tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [id]);
    assert!(begun.elapsed() <= Duration::from_millis(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn tasks_claimed_for_a_caller_that_has_gone_are_given_back() {
    let bench = Bench::new();
    let id = bench.enqueue(bench.task("work")).await;
    let call = bench.queues.lease(&bench.queue, request(1, Duration::ZERO));
    // Polled until the claim is on its way, and dropped there.
    let mut call = Box::pin(call);
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    bench.queues.close().await;
    let status = bench.status(id).await;
    assert_eq!(status.state, TaskState::Queued);
    let again = bench.queues.lease(&bench.queue, request(1, Duration::ZERO)).await.unwrap();
    assert_eq!((again[0].attempt, again[0].crashes), (1, 0), "neither a failure nor a crash");
}

#[tokio::test(start_paused = true)]
async fn a_remote_worker_settles_by_id_and_fence() {
    let bench = Bench::new();
    let (id, fence) = leased(&bench).await;
    assert!(matches!(
        bench.queues.ack(id, fence, Some("not json".into())).await,
        Err(Error::InvalidTask { field: "result", .. })
    ));
    for _ in 0..2 {
        let state = bench.queues.ack(id, fence, Some("[1]".into())).await.unwrap();
        assert_eq!(state, TaskState::Completed, "a repeated acknowledgement answers as the first time");
    }
    let (id, fence) = leased(&bench).await;
    assert_eq!(bench.queues.fail(id, fence, "busy".into(), true).await.unwrap(), TaskState::Failed);
    let (id, fence) = leased(&bench).await;
    assert_eq!(bench.queues.fail(id, fence, "broken".into(), false).await.unwrap(), TaskState::Dead);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_and_an_unknown_task_are_told_apart() {
    let bench = Bench::new();
    let (id, fence) = leased(&bench).await;
    let wrong = Fence(fence.0 + 1);
    assert!(matches!(bench.queues.ack(id, wrong, None).await, Err(Error::LeaseLost(lost)) if lost == id));
    assert!(matches!(bench.queues.extend(id, wrong, None).await, Err(Error::LeaseLost(lost)) if lost == id));
    let unknown = TaskId::generate(&bench.queue);
    assert!(matches!(bench.queues.ack(unknown, fence, None).await, Err(Error::UnknownTask(task)) if task == unknown));
    assert!(matches!(bench.queues.cancel(unknown, "x").await, Err(Error::UnknownTask(task)) if task == unknown));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_says_what_it_could_do() {
    let bench = Bench::new();
    let waiting = bench.enqueue(bench.task("work")).await;
    assert_eq!(bench.queues.cancel(waiting, "not needed").await.unwrap(), CancelOutcome::Cancelled);
    let again = bench.queues.cancel(waiting, "not needed").await.unwrap();
    assert_eq!(again, CancelOutcome::AlreadyFinished(TaskState::Cancelled));
    let (id, fence) = leased(&bench).await;
    assert_eq!(bench.queues.cancel(id, "stop").await.unwrap(), CancelOutcome::Ordered);
    assert_eq!(bench.queues.extend(id, fence, None).await.unwrap().orders, [Order::Cancel]);
}

#[tokio::test(start_paused = true)]
async fn the_brake_reaches_every_queue_and_its_release_returns_everything() {
    let bench = Bench::new();
    let everyone = |engaged, revision| BrakeChange { scope: BrakeScope::Everyone, engaged, revision };
    let queues: Vec<_> = (0..3).map(|_| unique_queue()).collect();
    for queue in &queues {
        let tasks: Vec<_> = (0..300).map(|_| NewTask::new(queue, "work", "{}")).collect();
        bench.queues.enqueue_many(queue, tasks).await.unwrap();
    }
    bench.queues.apply_brake(&everyone(true, 1)).await.unwrap();
    for queue in &queues {
        for _ in 0..2 {
            assert_eq!(bench.queues.lease(queue, request(256, Duration::ZERO)).await.unwrap(), []);
        }
    }
    assert_eq!(bench.queues.parked(&BrakeScope::Everyone).await.unwrap(), 900);
    bench.queues.apply_brake(&everyone(false, 2)).await.unwrap();
    assert_eq!(bench.queues.parked(&BrakeScope::Everyone).await.unwrap(), 0);
    assert_eq!(bench.queues.stats(&queues[2]).await.unwrap().ready, [0, 0, 300, 0]);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_of_any_number_are_requeued_and_purged() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for _ in 0..300 {
        let (id, fence) = leased(&bench).await;
        bench.queues.fail(id, fence, "broken".into(), false).await.unwrap();
        ids.push(id);
    }
    let page = bench.queues.dead_letters(&bench.queue, None, 1_000).await.unwrap();
    assert_eq!((page.len(), page[0].status.id), (trackside_queue::MAX_BATCH, ids[299]), "newest first");
    assert_eq!(bench.queues.requeue_dead(&bench.queue, &ids[..290]).await.unwrap(), 290);
    assert_eq!(bench.queues.purge_dead(&bench.queue, &ids).await.unwrap(), 10, "the others are queued again");
    assert_eq!(bench.queues.stats(&bench.queue).await.unwrap().dead, 0);
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_a_producer_hears_so_at_once() {
    let bench = Bench::new();
    let wire = Wire::new(&bench.store);
    wire.set(Line::Cut);
    let queues = QueueManager::new(wire.clone(), bench.queues.config().clone());
    let failure = queues.enqueue(&bench.queue, bench.task("work")).await.unwrap_err();
    assert!(failure.is_retryable() && failure.kind().is_store_outage());
    wire.set(Line::Up);
    queues.enqueue(&bench.queue, bench.task("work")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_keeps_its_tasks_until_it_is_resumed() {
    let bench = Bench::new();
    bench.queues.pause(&bench.queue).await.unwrap();
    let id = bench.enqueue(bench.task("work")).await;
    assert_eq!(bench.queues.lease(&bench.queue, request(1, Duration::from_secs(60))).await.unwrap(), []);
    bench.queues.resume(&bench.queue).await.unwrap();
    let tasks = bench.queues.lease(&bench.queue, request(1, Duration::ZERO)).await.unwrap();
    assert_eq!(tasks[0].id, id);
}

#[tokio::test(start_paused = true)]
async fn a_brake_that_nobody_will_release_is_let_go_and_what_it_held_returns() {
    let bench = Bench::new();
    let of = |user: &str| BrakeScope::User(user.parse().unwrap());
    for user in ["left", "on", "newer", "stranded"] {
        let mut task = bench.task("work");
        task.options.user_id = Some(user.parse().unwrap());
        bench.queues.enqueue(&bench.queue, task).await.unwrap();
    }
    for (user, revision) in [("left", 5), ("on", 6), ("newer", 9), ("stranded", 1)] {
        let change = BrakeChange { scope: of(user), engaged: true, revision };
        bench.queues.apply_brake(&change).await.unwrap();
    }
    assert_eq!(bench.queues.lease(&bench.queue, request(10, Duration::ZERO)).await.unwrap(), []);
    // A process that died after it had told the queue of the release, and before it had returned the task.
    let release = BrakeChange { scope: of("stranded"), engaged: false, revision: 2 };
    bench.store.set_brake(&bench.queue, &release).await.unwrap();

    let on = [of("on")].into_iter().collect();
    assert_eq!(bench.queues.reconcile_brakes(&on, 7).await.unwrap(), 1);
    for (user, parked) in [("left", 0), ("on", 1), ("newer", 1), ("stranded", 0)] {
        assert_eq!(bench.queues.parked(&of(user)).await.unwrap(), parked, "{user}");
    }
    assert_eq!(bench.queues.lease(&bench.queue, request(10, Duration::ZERO)).await.unwrap().len(), 2);
    assert_eq!(bench.queues.reconcile_brakes(&on, 8).await.unwrap(), 0, "nothing is left to do");
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_is_no_panic() {
    let bench = Bench::new();
    let queues = bench.queues.clone();
    let queue = bench.queue.clone();
    let waiting = tokio::spawn(async move { queues.lease(&queue, request(1, Duration::MAX)).await });
    tokio::task::yield_now().await;
    bench.queues.enqueue(&bench.queue, bench.task("work")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_settlements_find_their_queues_and_each_has_a_verdict_of_its_own() {
    let bench = Bench::new();
    let other: QueueName = unique_queue();
    bench.queues.enqueue(&other, NewTask::new(&other, "work", "{}")).await.unwrap();
    let (here, fence) = leased(&bench).await;
    let there = bench.queues.lease(&other, request(1, Duration::ZERO)).await.unwrap().remove(0);
    let unknown = TaskId::generate(&bench.queue);
    // A manager that never heard of either queue, as another process has one.
    let wire = Wire::new(&bench.store);
    let queues = QueueManager::new(Arc::clone(&wire) as Arc<dyn QueueStore>, bench.queues.config().clone());
    let done = |id, fence, result: &'static str| {
        let result = Some(result.into());
        Settlement { id, fence, outcome: Outcome::completed(result) }
    };

    let extend = |id, fence| ExtendRequest { id, fence, lease: None };
    let extended = queues.extend_many(vec![extend(there.id, there.fence), extend(here, Fence(99))]).await;
    assert_eq!(extended[0].as_ref().unwrap().orders, []);
    assert!(matches!(**extended[1].as_ref().unwrap_err(), Error::LeaseLost(id) if id == here));

    assert_eq!(wire.steps(), 2, "one round trip for each queue");

    let words = vec![
        done(there.id, there.fence, "1"),
        done(unknown, fence, "2"),
        done(here, fence, "no JSON"),
        done(here, fence, "3"),
        done(here, fence, "4"),
    ];
    let verdicts = queues.settle_many(words).await;
    assert_eq!(wire.steps(), 4, "one round trip for each queue");
    assert_eq!(*verdicts[0].as_ref().unwrap(), TaskState::Completed);
    assert!(matches!(**verdicts[1].as_ref().unwrap_err(), Error::UnknownTask(id) if id == unknown));
    assert!(matches!(**verdicts[2].as_ref().unwrap_err(), Error::InvalidTask { field: "result", .. }));
    assert_eq!(
        (*verdicts[3].as_ref().unwrap(), *verdicts[4].as_ref().unwrap()),
        (TaskState::Completed, TaskState::Completed)
    );
    let status = queues.status(here).await.unwrap().unwrap();
    assert_eq!(status.result.as_deref(), Some(b"3".as_slice()), "the first word counts");
}

#[tokio::test(start_paused = true)]
async fn a_filter_means_some_dead_letters_and_a_sweep_goes_on_where_it_ended() {
    let bench = Bench::new();
    for n in 0..10 {
        let (id, fence) = leased(&bench).await;
        let error = if n % 2 == 0 { "Quota EXCEEDED" } else { "no such page" };
        bench.queues.fail(id, fence, error.into(), false).await.unwrap();
    }
    let filter = DeadFilter { reason: Some("quota exceeded".into()), ..DeadFilter::default() };
    let page = bench.queues.find_dead(&bench.queue, &filter, None, 3).await.unwrap();
    assert_eq!(page.letters.len(), 3);
    assert!(page.letters.iter().all(|letter| letter.status.error.as_deref() == Some("Quota EXCEEDED")));

    let first = bench.queues.purge_matching(&bench.queue, &filter, None, 3).await.unwrap();
    assert_eq!((first.done, first.next.is_some()), (3, true));
    let rest = bench.queues.requeue_matching(&bench.queue, &filter, first.next, 100).await.unwrap();
    assert_eq!((rest.done, rest.next), (2, None));
    let stats = bench.queues.stats(&bench.queue).await.unwrap();
    assert_eq!((stats.dead, stats.purged, stats.ready[2]), (5, 3, 2));

    let nobody = DeadFilter { kind: Some("another.kind".into()), ..DeadFilter::default() };
    assert_eq!(bench.queues.purge_matching(&bench.queue, &nobody, None, 100).await.unwrap(), Swept::default());
}
