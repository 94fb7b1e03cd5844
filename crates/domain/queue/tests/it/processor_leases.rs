//! Leases: kept while the work lasts, and never outlived by it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use trackside_queue::{Handlers, LeaseRequest, Outcome, StopReason, TaskContext, TaskHandler, TaskState, handler_fn};

use crate::processor_kit::{Bench, Line, places};

type Log = Arc<Mutex<Vec<(Duration, String)>>>;

/// A handler that says when it starts and why it is told to stop, and obeys or not.
fn diary(name: &'static str, log: &Log, since: Instant, obeys: bool) -> impl TaskHandler {
    struct OnDrop(Log, &'static str, Instant);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.lock().unwrap().push((self.2.elapsed(), format!("{} ended", self.1)));
        }
    }
    let log = log.clone();
    handler_fn(move |_, context: TaskContext| {
        let ends = OnDrop(log.clone(), name, since);
        async move {
            let write = |text: String| ends.0.lock().unwrap().push((since.elapsed(), text));
            write(format!("{name} started"));
            context.stopped().await;
            write(format!("{name} stopped: {}", context.stop_reason().unwrap().as_str()));
            if !obeys {
                std::future::pending::<()>().await;
            }
            Err(trackside_queue::TaskFailure::retryable("stopped"))
        }
    })
}

fn at(log: &Log, text: &str) -> Duration {
    let log = log.lock().unwrap();
    log.iter().find(|(_, line)| line == text).unwrap_or_else(|| panic!("no {text:?} in {log:?}")).0
}

#[tokio::test(start_paused = true)]
async fn a_task_longer_than_its_lease_keeps_it() {
    let bench = Bench::new();
    let work = handler_fn(|_, _| async {
        sleep(Duration::from_secs(95)).await;
        Ok(None)
    });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    // Somebody else would take it as soon as the lease ended.
    let idle = bench.run(Handlers::new(), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Completed).await;
    let steps = running.wire.steps() + idle.wire.steps();
    assert_eq!(running.events.lines().len() + idle.events.lines().len(), 2, "started once and completed");
    assert!(steps < 100, "{steps} steps: about one renewal every three seconds and one look every five");
    running.stop().await;
    idle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_stopped_before_anyone_else_can_get_its_task() {
    for obeys in [true, false] {
        let bench = Bench::new();
        let (log, since) = (Log::default(), Instant::now());
        let cut_off = bench.run(Handlers::new().on("work", diary("first", &log, since, obeys)), places(1));
        let id = bench.enqueue(bench.task("work")).await;
        bench.reaches(id, TaskState::Active).await;
        sleep(Duration::from_millis(1)).await;
        let other = bench.run(Handlers::new().on("work", diary("second", &log, since, true)), places(1));
        cut_off.wire.set(Line::Cut);
        bench.reaches_line(&log, "second started").await;
        let (stopped, ended) = (at(&log, "first stopped: lease_lost"), at(&log, "first ended"));
        let taken = at(&log, "second started");
        assert!(stopped <= Duration::from_millis(7_600), "told while a quarter is left: {stopped:?}");
        assert!(ended <= Duration::from_millis(9_100), "gone while a tenth is left: {ended:?}");
        assert!(taken >= Duration::from_secs(10) && ended < taken, "{ended:?} before {taken:?}");
        cut_off.stop().await;
        other.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_holder_of_a_lost_lease_is_told_and_what_it_did_does_not_count() {
    let bench = Bench::new();
    let work = handler_fn(|task, context: TaskContext| async move {
        if task.attempt == 1 && task.crashes == 0 {
            context.stopped().await;
            assert_eq!(context.stop_reason(), Some(StopReason::LeaseLost));
        }
        Ok(Some("\"late\"".into()))
    });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Active).await;
    // The fence of the first claim of a queue is 1. An operator takes the task away and keeps it.
    bench.queues.settle(id, trackside_queue::Fence(1), Outcome::Released).await.unwrap();
    let request =
        LeaseRequest { worker_id: "operator".parse().unwrap(), max_tasks: 1, lease: None, wait: Duration::ZERO };
    let taken = bench.queues.lease(&bench.queue, request).await.unwrap();
    assert_eq!(taken.len(), 1);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(running.events.lines(), ["started 1", "lease lost"]);
    bench.queues.ack(id, taken[0].fence, Some("\"operator\"".into())).await.unwrap();
    assert_eq!(bench.status(id).await.result.as_deref(), Some(b"\"operator\"".as_slice()));
    running.stop().await;
}

impl Bench {
    async fn reaches_line(&self, log: &Log, text: &str) {
        let seen = async {
            while !log.lock().unwrap().iter().any(|(_, line)| line == text) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), seen).await.unwrap_or_else(|_| panic!("no {text:?}: {log:?}"));
    }
}
