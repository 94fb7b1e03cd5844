//! The store away: nothing is lost, nothing is done twice that need not be, and nothing has to be restarted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use trackside_queue::{Handlers, ProcessorState, TaskHandler, TaskState, handler_fn};

use crate::processor_kit::{Bench, Line, Wire, places};

/// A handler that takes this long and counts its runs.
fn lasting(duration: Duration) -> (Arc<AtomicUsize>, impl TaskHandler) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    let handler = handler_fn(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(duration).await;
            Ok(None)
        }
    });
    (runs, handler)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_finishes_during_an_outage_is_settled_afterwards_and_runs_once() {
    let bench = Bench::new();
    let (runs, work) = lasting(Duration::from_secs(2));
    let running = bench.run(Handlers::new().on("work", work), places(4));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    running.wire.set(Line::Cut);
    sleep(Duration::from_secs(5)).await;
    assert!(matches!(running.handle.status().state, ProcessorState::Disconnected { .. }));
    assert_eq!(bench.state(id).await, TaskState::Active, "finished here, and unknown there");
    running.wire.set(Line::Up);
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(running.handle.status().state, ProcessorState::Running);
    let next = bench.enqueue(bench.task("work")).await;
    bench.reaches(next, TaskState::Completed).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "once each");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_was_lost_is_repeated_and_counts_once() {
    let bench = Bench::new();
    let (runs, work) = lasting(Duration::from_secs(1));
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    running.wire.set(Line::Deaf);
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(running.events.lines(), ["started 1"], "the worker does not know yet");
    running.wire.set(Line::Up);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.events.lines(), ["started 1", "completed"]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(bench.queues.stats(&bench.queue).await.unwrap().completed, 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_comes_back_when_its_lease_ends() {
    let bench = Bench::new();
    let (runs, work) = lasting(Duration::ZERO);
    let running = bench.run(Handlers::new().on("work", work), places(1));
    sleep(Duration::from_secs(1)).await;
    running.wire.set(Line::Deaf);
    let ids = [bench.enqueue(bench.task("work")).await, bench.enqueue(bench.task("work")).await];
    bench.reaches(ids[0], TaskState::Active).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.state(ids[1]).await, TaskState::Queued, "no more is claimed while nothing is heard");
    running.wire.set(Line::Up);
    for id in ids {
        bench.reaches(id, TaskState::Completed).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_outlives_an_outage_shorter_than_its_lease_is_not_disturbed() {
    let bench = Bench::new();
    let (runs, work) = lasting(Duration::from_secs(30));
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    for _ in 0..5 {
        running.wire.set(Line::Cut);
        sleep(Duration::from_secs(3)).await;
        running.wire.set(Line::Up);
        sleep(Duration::from_secs(2)).await;
    }
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_stopped_by_a_long_outage_is_given_back_and_is_no_crash() {
    let bench = Bench::new();
    let (runs, work) = lasting(Duration::from_secs(20));
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    // Nobody else speaks with the queue: its stall law keeps the lease, so that the give-back arrives first.
    running.wire.set(Line::Cut);
    sleep(Duration::from_secs(60)).await;
    running.wire.set(Line::Up);
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let lines = running.events.lines();
    assert_eq!(lines, ["started 1", "returned Some(LeaseLost)", "started 1", "completed"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_sparingly_while_it_is_away() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new(), places(1));
    sleep(Duration::from_secs(1)).await;
    running.wire.set(Line::Cut);
    let before = running.wire.steps();
    sleep(Duration::from_secs(600)).await;
    let asked = running.wire.steps() - before;
    assert!((300..1_300).contains(&asked), "{asked} attempts in ten minutes: about one a second");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_starts_while_the_store_is_away_and_works_once_it_is_there() {
    let bench = Bench::new();
    let wire = Wire::new(&bench.store);
    wire.set(Line::Cut);
    let (_, work) = lasting(Duration::ZERO);
    let running = bench.run_on(wire, Handlers::new().on("work", work), places(1), |processor| processor);
    let id = bench.enqueue(bench.task("work")).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.state(id).await, TaskState::Queued);
    running.wire.set(Line::Up);
    let begun = Instant::now();
    bench.reaches(id, TaskState::Completed).await;
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    running.stop().await;
}
