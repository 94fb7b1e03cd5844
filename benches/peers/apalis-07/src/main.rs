//! apalis 0.7 beside Trackside: the program that `cargo xtask peers` runs for it; its words are those of ../README.md.
//!
//! Settings: it asks the server every 10 ms, for 100 jobs at a time, instead of every 100 ms for 10, with which a worker
//! does a hundred jobs a second. With 500 or more at a time it is faster while it works, and now and then stands still:
//! one loop fetches and acknowledges, and waits for room among the fetched jobs while nothing takes acknowledgements.

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use apalis::{layers::WorkerBuilderExt, prelude::*};
use apalis_redis::{Config, RedisStorage};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const IN_FLIGHT: usize = 64;
const BULK: usize = 1_000;
const POLL: Duration = Duration::from_millis(10);
const BUFFER: usize = 100;
const REST: Duration = Duration::from_millis(10);

/// 200 bytes of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    number: String,
    text: String,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words == ["versions"] {
        println!("{}", serde_json::json!({ "apalis": "0.7.4", "apalis-redis": "0.7.4" }));
        return Ok(());
    }
    let connection = apalis_redis::connect(env::var("PEERS_REDIS_URL")?).await?;
    let config = Config::default().set_namespace("peers").set_poll_interval(POLL).set_buffer_size(BUFFER);
    let storage = RedisStorage::new_with_config(connection, config);
    match words[..] {
        ["enqueue", mode, count] => enqueue(&storage, mode, count.parse()?).await,
        ["work", concurrency] => work(storage, concurrency.parse()?).await,
        ["pickup", samples] => pickup(storage, samples.parse()?).await,
        _ => Err("versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>".into()),
    }
}

async fn enqueue(storage: &RedisStorage<Job>, mode: &str, count: usize) -> Outcome<()> {
    let begun = Instant::now();
    match mode {
        "one" => {
            let mut storage = storage.clone();
            for number in 0..count {
                storage.push(job(number)).await?;
            }
        }
        "flight" => {
            let lane = |lane: usize| {
                let mut storage = storage.clone();
                async move {
                    for number in (lane..count).step_by(IN_FLIGHT) {
                        storage.push(job(number)).await?;
                    }
                    Outcome::Ok(())
                }
            };
            try_join_all((0..IN_FLIGHT).map(lane)).await?;
        }
        // There is no bulk call: a thousand calls at once are the nearest.
        "bulk" => {
            for from in (0..count).step_by(BULK) {
                let push = |number: usize| {
                    let mut storage = storage.clone();
                    async move { storage.push(job(number)).await }
                };
                try_join_all((from..count.min(from + BULK)).map(push)).await?;
            }
        }
        other => return Err(format!("no way to enqueue is called {other}").into()),
    }
    println!("{}", serde_json::json!({ "seconds": begun.elapsed().as_secs_f64() }));
    Ok(())
}

async fn work(storage: RedisStorage<Job>, concurrency: usize) -> Outcome<()> {
    async fn noop(_: Job) -> Result<(), apalis::prelude::Error> {
        Ok(())
    }
    let worker = WorkerBuilder::new("peers").concurrency(concurrency).backend(storage).build_fn(noop);
    let mut stop = signal(SignalKind::terminate())?;
    tokio::select! {
        () = worker.run() => Err("the worker ended".into()),
        _ = stop.recv() => Ok(()),
    }
}

/// Microseconds from the call that enqueues to the start of the handler, one job at a time, in one process.
async fn pickup(mut storage: RedisStorage<Job>, samples: usize) -> Outcome<()> {
    async fn note(_: Job, starts: Data<mpsc::UnboundedSender<Instant>>) -> Result<(), apalis::prelude::Error> {
        starts.send(Instant::now()).map_err(|error| apalis::prelude::Error::from(Box::new(error) as BoxDynError))
    }
    let (started, mut starts) = mpsc::unbounded_channel::<Instant>();
    let worker = WorkerBuilder::new("peers").concurrency(16).data(started).backend(storage.clone()).build_fn(note);
    let working = tokio::spawn(worker.run());
    let mut micros = Vec::with_capacity(samples);
    // The first one is for the connections.
    for number in 0..=samples {
        let begun = Instant::now();
        storage.push(job(number)).await?;
        let at = starts.recv().await.ok_or("the worker ended")?;
        if number > 0 {
            micros.push(at.saturating_duration_since(begun).as_micros());
        }
        tokio::time::sleep(REST).await;
    }
    working.abort();
    println!("{}", serde_json::json!({ "pickup_us": micros }));
    Ok(())
}

fn job(number: usize) -> Job {
    Job { number: format!("{number:08}"), text: "x".repeat(169) }
}
