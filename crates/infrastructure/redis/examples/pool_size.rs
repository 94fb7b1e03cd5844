//! How throughput and latency depend on the number of connections.
//!
//! `cargo run --release -p trackside-redis --example pool_size [redis://…]` measures `GET` of 64 bytes and a small script,
//! with 1 to 256 tasks that each wait for their answer, on the given server or on one of its own.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    num::NonZeroUsize,
    sync::LazyLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use trackside_redis::{Command, Config, RedisService, Script};
use trackside_testkit::RedisServer;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One cell of the table is measured for so long.
const CELL: Duration = Duration::from_millis(700);
const KEY: &str = "pool_size:value";

static READ: LazyLock<Script> = LazyLock::new(|| Script::new("bench.script", "return redis.call('GET', KEYS[1])"));

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = match std::env::args().nth(1) {
        Some(url) => (url, None),
        None => {
            let server = RedisServer::start().await.map_err(|error| format!("{error:#}"))?;
            (server.url(), Some(server))
        }
    };
    println!("{:>5} {:>6} {:>22} {:>26}", "pool", "tasks", "GET op/s  p50/p99 µs", "script op/s  p50/p99 µs");
    for pool in [1, 2, 3, 4, 8, 16] {
        let config = Config { pool_size: NonZeroUsize::new(pool).ok_or("zero")?, ..Config::new(server.0.parse()?) };
        let redis = RedisService::start(config)?;
        redis.wait_until_connected(Duration::from_secs(5)).await?;
        redis.execute("bench.fill", Command::new("SET").key(KEY).arg(vec![b'x'; 64])).await?;
        for tasks in [1, 16, 64, 256] {
            let get = measure(&redis, tasks, false).await?;
            let script = measure(&redis, tasks, true).await?;
            println!("{pool:>5} {tasks:>6} {get:>22} {script:>26}");
        }
        redis.shutdown().await;
    }
    Ok(())
}

/// Operations per second, median and 99th percentile.
async fn measure(redis: &RedisService, tasks: usize, script: bool) -> Result<String, Failure> {
    let started = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while started.elapsed() < CELL {
                    let asked = Instant::now();
                    if script {
                        redis.run(&READ, vec![KEY.to_owned()], Vec::<Bytes>::new()).await?;
                    } else {
                        redis.execute("bench.get", Command::new("GET").key(KEY)).await?;
                    }
                    micros.push(asked.elapsed().as_micros());
                }
                Ok::<_, trackside_redis::Error>(micros)
            })
        })
        .collect();
    let mut micros = Vec::new();
    for worker in workers {
        micros.extend(worker.await??);
    }
    let per_second = micros.len() as f64 / started.elapsed().as_secs_f64();
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or_default();
    Ok(format!("{per_second:.0}  {}/{}", at(50), at(99)))
}
