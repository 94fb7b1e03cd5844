//! Trackside beside its peers: the program that `cargo xtask peers` runs for it.
//!
//! The words it takes and what it prints are those of every program in `benches/peers`, see the README there. It uses
//! what a program uses: a `QueueManager` to enqueue and a `TaskProcessor` to work, with their default settings.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "standard output is how a program of the comparison answers")]

mod cache;
mod limits;
mod timed;

use std::{
    env,
    error::Error,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use trackside_core::QueueName;
use trackside_queue::{
    Config, Handlers, NewTask, ProcessorConfig, QueueManager, RedisQueueStore, TaskProcessor, handler_fn,
};
use trackside_redis::RedisService;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const KIND: &str = "noop";
/// Calls on their way at once in `enqueue flight`.
const IN_FLIGHT: usize = 64;
/// Tasks in one call of `enqueue bulk`.
const BULK: usize = 1_000;
/// Between one sample of `pickup` and the next, so that the worker has come to rest.
const REST: Duration = Duration::from_millis(10);

/// The service's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Outcome<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Handlers that do nothing need no second thread, and waking one takes longer than the rest.
    Builder::new_current_thread().enable_all().build()?.block_on(run(&words))
}

async fn run(words: &[&str]) -> Outcome<()> {
    if *words == ["versions"] {
        println!("{}", serde_json::json!({ "trackside": env!("CARGO_PKG_VERSION") }));
        return Ok(());
    }
    let figures = match *words {
        ["limits", what, places, count] => Some(Box::pin(limits::calls(what, places.parse()?, count.parse()?)).await?),
        ["cache", what, places, count] => Some(Box::pin(cache::calls(what, places.parse()?, count.parse()?)).await?),
        ["stampede", callers, at] => Some(Box::pin(cache::stampede(callers.parse()?, at.parse()?)).await?),
        _ => None,
    };
    if let Some(answer) = figures {
        println!("{answer}");
        return Ok(());
    }
    let redis = RedisService::start(trackside_redis::Config::new(env::var("PEERS_REDIS_URL")?.parse()?))?;
    redis.wait_until_connected(Duration::from_secs(10)).await?;
    let store = RedisQueueStore::new(redis, Config::default());
    let queues = QueueManager::new(Arc::new(store.clone()), Config::default());
    let queue: QueueName = "peers".parse()?;
    match *words {
        ["enqueue", mode, count] => enqueue(&queues, &queue, mode, count.parse()?).await?,
        ["work", concurrency] => work(queues, queue, concurrency.parse()?).await?,
        ["pickup", samples] => pickup(queues, queue, samples.parse()?).await?,
        _ => return Err("versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>".into()),
    }
    store.shutdown().await;
    Ok(())
}

async fn enqueue(queues: &QueueManager, queue: &QueueName, mode: &str, count: usize) -> Outcome<()> {
    // The first call meets the queue; it is not part of the figure.
    queues.stats(queue).await?;
    let begun = Instant::now();
    match mode {
        "one" => {
            for number in 0..count {
                queues.enqueue(queue, task(queue, number)).await?;
            }
        }
        "flight" => {
            let lane = |lane: usize| async move {
                for number in (lane..count).step_by(IN_FLIGHT) {
                    queues.enqueue(queue, task(queue, number)).await?;
                }
                Ok::<_, trackside_queue::Error>(())
            };
            try_join_all((0..IN_FLIGHT).map(lane)).await?;
        }
        "bulk" => {
            for from in (0..count).step_by(BULK) {
                let tasks = (from..count.min(from + BULK)).map(|number| task(queue, number)).collect();
                queues.enqueue_many(queue, tasks).await?;
            }
        }
        other => return Err(format!("no way to enqueue is called {other}").into()),
    }
    println!("{}", serde_json::json!({ "seconds": begun.elapsed().as_secs_f64() }));
    Ok(())
}

async fn work(queues: QueueManager, queue: QueueName, concurrency: NonZeroUsize) -> Outcome<()> {
    let handlers = Handlers::new().on(KIND, handler_fn(|_, _| async { Ok(None) }));
    let config = ProcessorConfig { concurrency, ..ProcessorConfig::default() };
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(TaskProcessor::new(queues, queue, handlers, config).run(shutdown.clone()));
    signal(SignalKind::terminate())?.recv().await;
    shutdown.cancel();
    Ok(working.await?)
}

/// Microseconds from the call that enqueues to the start of the handler, one task at a time, in one process.
async fn pickup(queues: QueueManager, queue: QueueName, samples: usize) -> Outcome<()> {
    let (started, mut starts) = mpsc::unbounded_channel();
    let note = handler_fn(move |_, _| {
        let at = Instant::now();
        let is_heard = started.send(at).is_ok();
        async move { is_heard.then_some(None).ok_or_else(|| trackside_queue::TaskFailure::permanent("nobody listens")) }
    });
    let processor =
        TaskProcessor::new(queues.clone(), queue.clone(), Handlers::new().on(KIND, note), ProcessorConfig::default());
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(processor.run(shutdown.clone()));
    let mut micros = Vec::with_capacity(samples);
    // The first one is for the connections.
    for number in 0..=samples {
        let begun = Instant::now();
        queues.enqueue(&queue, task(&queue, number)).await?;
        let at = starts.recv().await.ok_or("the worker ended")?;
        if number > 0 {
            micros.push(at.saturating_duration_since(begun).as_micros());
        }
        tokio::time::sleep(REST).await;
    }
    shutdown.cancel();
    working.await?;
    println!("{}", serde_json::json!({ "pickup_us": micros }));
    Ok(())
}

/// A task with 200 bytes of JSON.
fn task(queue: &QueueName, number: usize) -> NewTask {
    NewTask::new(queue, KIND, format!(r#"{{"number":"{number:08}","text":"{:x<169}"}}"#, ""))
}
