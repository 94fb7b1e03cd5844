//! Shutdown: what can finish finishes, the rest is given back, and nothing is left behind.

use std::time::Duration;

use tokio::time::sleep;
use trackside_queue::{
    Handlers, ProcessorConfig, ProcessorState, TaskContext, TaskFailure, TaskHandler, TaskState, handler_fn,
};

use crate::processor_kit::{Bench, Line, places};

fn lasting(duration: Duration) -> impl TaskHandler {
    handler_fn(move |_, _| async move {
        sleep(duration).await;
        Ok(None)
    })
}

fn drain(seconds: u64, places_: usize) -> ProcessorConfig {
    ProcessorConfig { drain: Duration::from_secs(seconds), stop_grace: Duration::from_secs(1), ..places(places_) }
}

#[tokio::test(start_paused = true)]
async fn running_tasks_finish_and_waiting_ones_are_left_alone() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", lasting(Duration::from_secs(5))), drain(20, 1));
    let first = bench.enqueue(bench.task("work")).await;
    bench.reaches(first, TaskState::Active).await;
    let second = bench.enqueue(bench.task("work")).await;
    running.begin_shutdown();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.handle.status().state, ProcessorState::Draining);
    let handle = running.handle.clone();
    let took = running.stop().await;
    assert!(took < Duration::from_secs(5), "no longer than the task needs: {took:?}");
    assert_eq!(handle.status().state, ProcessorState::Stopped);
    assert_eq!(bench.state(first).await, TaskState::Completed);
    assert_eq!(bench.state(second).await, TaskState::Queued);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_is_stopped_and_given_back_in_one_step() {
    let bench = Bench::new();
    let obedient = handler_fn(|_, context: TaskContext| async move {
        context.stopped().await;
        Err(TaskFailure::retryable("stopped half way"))
    });
    let deaf = handler_fn(|_, _| async { std::future::pending().await });
    let running = bench.run(Handlers::new().on("obedient", obedient).on("deaf", deaf), drain(10, 8));
    let mut ids = Vec::new();
    for kind in ["obedient", "deaf", "obedient", "deaf"] {
        ids.push(bench.enqueue(bench.task(kind)).await);
        bench.reaches(*ids.last().unwrap(), TaskState::Active).await;
    }
    let wire = running.wire.clone();
    let took = running.stop().await;
    assert!(took >= Duration::from_secs(11) && took < Duration::from_secs(12), "drain and grace: {took:?}");
    assert_eq!(*wire.batches.lock().unwrap(), [4], "one step gives everything back");
    for id in ids {
        let status = bench.status(id).await;
        assert_eq!((status.state, status.error), (TaskState::Queued, None), "no failure is counted");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_stops_at_once() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new(), drain(20, 4));
    sleep(Duration::from_secs(1)).await;
    assert!(running.stop().await < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_with_the_store_away_ends_when_the_last_lease_has() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new().on("work", lasting(Duration::from_secs(60))), drain(1, 1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    running.wire.set(Line::Cut);
    let took = running.stop().await;
    assert!(took <= Duration::from_secs(11), "drain, grace, and what was left of the lease: {took:?}");
    // Another worker gets it then.
    let other = bench.run(Handlers::new().on("work", lasting(Duration::ZERO)), places(1));
    bench.reaches(id, TaskState::Completed).await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_reached_the_store_stops_at_once() {
    let bench = Bench::new();
    let wire = crate::processor_kit::Wire::new(&bench.store);
    wire.set(Line::Cut);
    let running = bench.run_on(wire, Handlers::new(), drain(20, 1), |processor| processor);
    sleep(Duration::from_secs(3)).await;
    assert!(running.stop().await < Duration::from_millis(10));
}
