//! Orders: cancel and brake, through the handle and through the store; and the gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use trackside_core::{TaskId, UserId};
use trackside_queue::{
    BrakeChange, BrakeScope, CancelOutcome, ClaimedTask, Handlers, NewTask, StartGate, TaskContext, TaskFailure,
    TaskHandler, TaskOptions, TaskState, handler_fn,
};

use crate::processor_kit::{Bench, places};

/// A handler that works until it is told to stop.
fn until_stopped() -> impl TaskHandler {
    handler_fn(|_, context: TaskContext| async move {
        context.stopped().await;
        Err(TaskFailure::retryable("stopped half way"))
    })
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn task_of(bench: &Bench, name: &str) -> NewTask {
    bench.task("work").with(TaskOptions { user_id: Some(user(name)), ..TaskOptions::default() })
}

fn brake(name: &str, engaged: bool, revision: u64) -> BrakeChange {
    BrakeChange { scope: BrakeScope::User(user(name)), engaged, revision }
}

async fn active(bench: &Bench, task: NewTask) -> TaskId {
    let id = bench.enqueue(task).await;
    bench.reaches(id, TaskState::Active).await;
    id
}

#[tokio::test(start_paused = true)]
async fn cancelling_reaches_a_handler_of_this_process_at_once() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", until_stopped()), places(1));
    let id = active(&bench, bench.task("work")).await;
    let begun = Instant::now();
    assert_eq!(running.queues.cancel(id, "changed my mind").await.unwrap(), CancelOutcome::Ordered);
    bench.reaches(id, TaskState::Cancelled).await;
    assert!(begun.elapsed() <= Duration::from_millis(5), "{:?}", begun.elapsed());
    assert_eq!(bench.status(id).await.error.as_deref(), Some("changed my mind"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_from_another_process_reaches_a_handler_with_the_next_renewal() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", until_stopped()), places(1));
    let id = active(&bench, bench.task("work")).await;
    let begun = Instant::now();
    // This manager knows nothing of the processor.
    assert_eq!(bench.queues.cancel(id, "stop").await.unwrap(), CancelOutcome::Ordered);
    bench.reaches(id, TaskState::Cancelled).await;
    assert!(begun.elapsed() <= bench.queues.config().renew_every + Duration::from_millis(50), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_was_finished_before_the_cancellation_arrived_counts() {
    let bench = Bench::new();
    let work = handler_fn(|_, context: TaskContext| async move {
        context.stopped().await;
        Ok(Some("\"done anyway\"".into()))
    });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = active(&bench, bench.task("work")).await;
    running.queues.cancel(id, "too late").await.unwrap();
    bench.reaches(id, TaskState::Completed).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_brake_stops_a_users_tasks_and_parks_them_until_it_is_released() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", until_stopped()), places(4));
    let (ann, bob) = (active(&bench, task_of(&bench, "ann")).await, active(&bench, task_of(&bench, "bob")).await);
    running.queues.apply_brake(&brake("ann", true, 1)).await.unwrap();
    bench.reaches(ann, TaskState::Parked).await;
    let later = bench.enqueue(task_of(&bench, "ann")).await;
    bench.reaches(later, TaskState::Parked).await;
    assert_eq!(bench.queues.parked(&BrakeScope::Everyone).await.unwrap(), 2);
    assert_eq!(bench.state(bob).await, TaskState::Active, "the brake is for one user");
    assert_eq!(running.handle.running().len(), 1);
    running.queues.apply_brake(&brake("ann", false, 2)).await.unwrap();
    bench.reaches(ann, TaskState::Active).await;
    bench.reaches(later, TaskState::Active).await;
    assert_eq!(bench.status(ann).await.attempts, 1, "the attempt that was broken off is not counted");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_brake_in_the_queue_alone_stops_tasks_with_the_next_renewal() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", until_stopped()), places(1));
    let id = active(&bench, task_of(&bench, "ann")).await;
    let begun = Instant::now();
    let everyone = BrakeChange { scope: BrakeScope::Everyone, engaged: true, revision: 1 };
    bench.queues.set_brake(&bench.queue, &everyone).await.unwrap();
    bench.reaches(id, TaskState::Parked).await;
    assert!(begun.elapsed() <= bench.queues.config().renew_every + Duration::from_millis(50), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_handle_tells_what_runs_and_stops_it() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", until_stopped()), places(4));
    let ann = active(&bench, task_of(&bench, "ann")).await;
    let bob = active(&bench, task_of(&bench, "bob")).await;
    let seen: Vec<_> = running.handle.running().into_iter().map(|task| (task.id, task.user_id)).collect();
    assert_eq!(seen, [(ann, Some(user("ann"))), (bob, Some(user("bob")))]);
    assert_eq!(running.handle.stop_user(&BrakeScope::User(user("carol"))), 0);
    assert!(!running.handle.cancel(TaskId::generate(&bench.queue)));
    bench.queues.set_brake(&bench.queue, &brake("ann", true, 1)).await.unwrap();
    assert_eq!(running.handle.stop_user(&BrakeScope::User(user("ann"))), 1);
    bench.reaches(ann, TaskState::Parked).await;
    assert!(running.handle.cancel(bob));
    bench.reaches(bob, TaskState::Cancelled).await;
    assert_eq!(running.handle.status().running, 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_gate_keeps_tasks_from_starting_without_counting_attempts_or_spinning() {
    struct Gate(AtomicBool);
    impl StartGate for Gate {
        fn may_start(&self, _: &ClaimedTask) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }
    let bench = Bench::new();
    let gate = Arc::new(Gate(AtomicBool::new(false)));
    let work = handler_fn(|task, _| async move { Ok(Some(task.attempt.to_string().into())) });
    let running = bench.run_with(Handlers::new().on("work", work), places(1), |p| p.with_gate(gate.clone()));
    let id = bench.enqueue(bench.task("work")).await;
    sleep(Duration::from_secs(10)).await;
    assert_ne!(bench.state(id).await, TaskState::Completed);
    let steps = running.wire.steps();
    assert!(steps <= 2 * 10 * 4 + 5, "{steps} steps in ten seconds: four refusals a second, each given back");
    gate.0.store(true, Ordering::SeqCst);
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(bench.status(id).await.result.as_deref(), Some(b"1".as_slice()));
    running.stop().await;
}
