//! Running tasks: handlers, limits, failures, progress, observers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use trackside_queue::{
    ClaimedTask, Handlers, NewTask, ProcessorConfig, ProgressReport, ProgressSink, RetryPolicy, TaskFailure,
    TaskOptions, TaskState, handler_fn,
};

use crate::processor_kit::{Bench, places};

fn retrying(delay_ms: u64) -> TaskOptions {
    TaskOptions { retry: RetryPolicy::Fixed { delay_ms }, ..TaskOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_and_its_result_is_kept() {
    let bench = Bench::new();
    let double = handler_fn(|task, _| async move {
        let number: i64 = serde_json::from_slice(&task.payload).map_err(TaskFailure::permanent)?;
        Ok(Some((number * 2).to_string().into()))
    });
    let running = bench.run(Handlers::new().on("double", double), places(1));
    let mut task = bench.task("double");
    task.payload = "21".into();
    let id = bench.enqueue(task).await;
    bench.reaches(id, TaskState::Completed).await;
    let status = bench.status(id).await;
    assert_eq!(status.result.as_deref(), Some(b"42".as_slice()));
    assert_eq!((status.attempts, status.error), (1, None));
    assert_eq!(status.worker_id.as_deref(), Some(running.handle.status().worker_id.as_str()));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_tasks_run_at_once_than_there_are_places() {
    let bench = Bench::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (now.clone(), most.clone());
    let work = handler_fn(move |_, _| {
        let (counted, peak) = (counted.clone(), peak.clone());
        async move {
            peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(10)).await;
            counted.fetch_sub(1, Ordering::SeqCst);
            Ok(None)
        }
    });
    let tasks: Vec<_> = (0..100).map(|_| bench.task("work")).collect();
    bench.queues.enqueue_many(&bench.queue, tasks.clone()).await.unwrap();
    let running = bench.run(Handlers::new().on("work", work), places(7));
    for task in tasks {
        bench.reaches(task.id, TaskState::Completed).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 7);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_handler_goes_to_the_dead_letters_with_the_reason() {
    let bench = Bench::new();
    let running = bench.run(Handlers::new(), places(1));
    let id = bench.enqueue(bench.task("mail.send")).await;
    bench.reaches(id, TaskState::Dead).await;
    let dead = bench.queues.dead_letters(&bench.queue, None, 10).await.unwrap();
    assert_eq!(dead[0].status.error.as_deref(), Some("no handler for kind mail.send"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_takes_kinds_that_have_no_handler() {
    let bench = Bench::new();
    let named = handler_fn(|_, _| async { Ok(Some("\"named\"".into())) });
    let fallback = handler_fn(|_, _| async { Ok(Some("\"fallback\"".into())) });
    let running = bench.run(Handlers::new().on("a", named).fallback(fallback), places(2));
    for (kind, by) in [("a", "\"named\""), ("b", "\"fallback\"")] {
        let id = bench.enqueue(bench.task(kind)).await;
        bench.reaches(id, TaskState::Completed).await;
        assert_eq!(bench.status(id).await.result.as_deref(), Some(by.as_bytes()));
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt_and_is_tried_again() {
    let bench = Bench::new();
    let work = handler_fn(|task, _| async move {
        assert!(task.attempt > 1, "the first attempt breaks");
        Ok(None)
    });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work").with(retrying(500))).await;
    bench.reaches(id, TaskState::Failed).await;
    let error = bench.status(id).await.error.unwrap();
    assert_eq!(error, "handler panicked: the first attempt breaks");
    bench.reaches(id, TaskState::Completed).await;
    assert_eq!(bench.status(id).await.attempts, 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_keeps_failing_is_tried_three_times_and_then_dead() {
    let bench = Bench::new();
    let work = handler_fn(|task, _| async move { Err(TaskFailure::Retryable(format!("attempt {}", task.attempt))) });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let begun = Instant::now();
    let id = bench.enqueue(bench.task("work").with(retrying(60_000))).await;
    bench.reaches(id, TaskState::Dead).await;
    assert!(begun.elapsed() >= Duration::from_secs(120), "two waits of a minute");
    assert!(begun.elapsed() < Duration::from_secs(121), "and no more than that");
    assert_eq!(
        running.events.lines(),
        ["started 1", "failed: attempt 1", "started 2", "failed: attempt 2", "started 3", "dead: attempt 3"]
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_decides_when_and_whether_there_is_another_attempt() {
    let bench = Bench::new();
    let later = handler_fn(|task, _| async move {
        let hour = Duration::from_secs(3_600);
        if task.attempt == 1 { Err(TaskFailure::RetryAfter(hour / 2, "rate limited".into())) } else { Ok(None) }
    });
    let never = handler_fn(|_, _| async { Err(TaskFailure::permanent("no such account")) });
    let running = bench.run(Handlers::new().on("later", later).on("never", never), places(2));
    let begun = Instant::now();
    let (later, never) = (bench.enqueue(bench.task("later")).await, bench.enqueue(bench.task("never")).await);
    bench.reaches(never, TaskState::Dead).await;
    assert_eq!(bench.status(never).await.attempts, 1);
    bench.reaches(later, TaskState::Completed).await;
    assert!(begun.elapsed() >= Duration::from_secs(1_800));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_json_is_a_permanent_failure() {
    let bench = Bench::new();
    let work = handler_fn(|_, _| async { Ok(Some("not json".into())) });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Dead).await;
    assert!(bench.status(id).await.error.unwrap().contains("result: not JSON"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_takes_too_long_is_told_to_stop_and_then_dropped() {
    let bench = Bench::new();
    let stops = Arc::new(Mutex::new(Vec::new()));
    let seen = stops.clone();
    let work = handler_fn(move |_, context: trackside_queue::TaskContext| {
        let seen = seen.clone();
        async move {
            let begun = Instant::now();
            context.stopped().await;
            seen.lock().unwrap().push((begun.elapsed(), context.stop_reason().unwrap().as_str()));
            std::future::pending().await
        }
    });
    let config =
        ProcessorConfig { task_timeout: Duration::from_secs(60), stop_grace: Duration::from_secs(5), ..places(1) };
    let running = bench.run(Handlers::new().on("work", work), config);
    let begun = Instant::now();
    let own = TaskOptions { timeout: Some(Duration::from_secs(20)), ..retrying(600_000) };
    let id = bench.enqueue(bench.task("work").with(own)).await;
    bench.reaches(id, TaskState::Failed).await;
    assert_eq!(begun.elapsed().as_secs(), 25, "its own limit and the grace");
    let usual = bench.enqueue(bench.task("work").with(retrying(600_000))).await;
    bench.reaches(usual, TaskState::Failed).await;
    assert_eq!(begun.elapsed().as_secs(), 90, "the worker's limit and the grace");
    let limits = [Duration::from_secs(20), Duration::from_secs(60)].map(|limit| (limit, "timed_out"));
    let seen: Vec<_> =
        stops.lock().unwrap().iter().map(|(at, why)| (Duration::from_secs(at.as_secs()), *why)).collect();
    assert_eq!(seen, limits);
    assert_eq!(bench.status(usual).await.error.as_deref(), Some("timed out after 60000 ms"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_the_sink_with_its_task() {
    #[derive(Default)]
    struct Sink(Mutex<Vec<(String, ProgressReport)>>);
    impl ProgressSink for Sink {
        fn report(&self, task: &ClaimedTask, report: ProgressReport) {
            self.0.lock().unwrap().push((task.id.to_string(), report));
        }
    }
    let bench = Bench::new();
    let work = handler_fn(|_, context: trackside_queue::TaskContext| async move {
        context.progress(Some(50.0), Some("half".into()));
        context.progress(None, Some("nearly".into()));
        Ok(None)
    });
    let sink = Arc::new(Sink::default());
    let running = bench.run_with(Handlers::new().on("work", work), places(1), |p| p.with_progress(sink.clone()));
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Completed).await;
    let report =
        |percent, message: &str| (id.to_string(), ProgressReport { percent, message: Some(message.to_owned()) });
    assert_eq!(*sink.0.lock().unwrap(), [report(Some(50.0), "half"), report(None, "nearly")]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_takes_a_new_task_at_once_and_does_not_poll_meanwhile() {
    let bench = Bench::new();
    let work = handler_fn(|_, _| async { Ok(None) });
    let running = bench.run(Handlers::new().on("work", work), places(4));
    sleep(Duration::from_secs(600)).await;
    let idle = running.wire.steps();
    assert!(idle <= 600 * 10 / 24 + 2, "{idle} steps in ten idle minutes: only the wait's own bound may ask");
    let begun = Instant::now();
    let id = bench.enqueue(bench.task("work")).await;
    bench.reaches(id, TaskState::Completed).await;
    assert!(begun.elapsed() <= Duration::from_millis(2), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn settlements_of_a_busy_worker_share_steps() {
    let bench = Bench::new();
    let work = handler_fn(|_, _| async { Ok(None) });
    let tasks: Vec<_> = (0..2_000).map(|_| bench.task("work")).collect();
    bench.queues.enqueue_many(&bench.queue, tasks.clone()).await.unwrap();
    let running = bench.run(Handlers::new().on("work", work), places(64));
    for task in tasks {
        bench.reaches(task.id, TaskState::Completed).await;
    }
    let batches = running.wire.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 2_000);
    assert!(batches.len() <= 2_000 / 8, "{} steps for 2,000 settlements", batches.len());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_task_runs_when_it_is_due() {
    let bench = Bench::new();
    let work = handler_fn(|_, _| async { Ok(None) });
    let running = bench.run(Handlers::new().on("work", work), places(1));
    let begun = Instant::now();
    let due = trackside_queue::Due::After(Duration::from_millis(1_234));
    let id = bench.enqueue(bench.task("work").with(TaskOptions { due, ..TaskOptions::default() })).await;
    bench.reaches(id, TaskState::Completed).await;
    let late = begun.elapsed().checked_sub(Duration::from_millis(1_234)).expect("not before it is due");
    assert!(late < Duration::from_millis(10), "{late:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_brings_the_next_tasks_with_its_completion_only() {
    let bench = Bench::new();
    let queue = bench.queue.clone();
    let collect = handler_fn(move |task, context| {
        let queue = queue.clone();
        async move {
            let render = NewTask::new(&queue, "render", "2");
            let render = context.enqueue_next(&queue, render).map_err(TaskFailure::permanent)?;
            let mail = NewTask::new(&queue, "mail", "3")
                .with(TaskOptions { depends_on: vec![render.into()], ..TaskOptions::default() });
            context.enqueue_next(&queue, mail).map_err(TaskFailure::permanent)?;
            assert_eq!(context.next().len(), 2);
            if task.attempt == 1 { Err(TaskFailure::retryable("not yet")) } else { Ok(None) }
        }
    });
    let (seen, order) = (Arc::new(Mutex::new(Vec::new())), ["render", "mail"]);
    let note = handler_fn({
        let seen = seen.clone();
        move |task, _| {
            seen.lock().unwrap().push((task.kind.clone(), task.correlation_id.clone()));
            async { Ok(None) }
        }
    });
    let running = bench.run(Handlers::new().on("collect", collect).fallback(note), places(4));
    let mut first = bench.task("collect");
    first.options.retry = RetryPolicy::Fixed { delay_ms: 5 };
    let id = bench.enqueue(first).await;
    bench.reaches(id, TaskState::Completed).await;
    while seen.lock().unwrap().len() < order.len() {
        sleep(Duration::from_millis(1)).await;
    }
    running.stop().await;
    let correlation = bench.status(id).await.correlation_id;
    assert_eq!(*seen.lock().unwrap(), order.map(|kind| (kind.to_owned(), correlation.clone())));
    assert_eq!(bench.queues.stats(&bench.queue).await.unwrap().created, 3);
}
