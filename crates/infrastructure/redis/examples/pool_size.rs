//! How throughput and latency depend on the number of connections.
//!
//! `cargo run --release -p trackside-redis --example pool_size [redis://…]` measures `GET` of 64 bytes, the same `GET`
//! in a spelling that the driver does not know and therefore flushes by itself (`get`), and a small script, with 1 to 256 tasks that each wait for their answer, on the given server or on one of its own.
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

/// What is measured.
#[derive(Clone, Copy)]
enum Call {
    Known,
    Words,
    Script,
}

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
    let columns = ["GET op/s  p50/p99 µs", "get op/s  p50/p99 µs", "script op/s  p50/p99 µs"];
    println!("{:>5} {:>6} {:>24} {:>24} {:>24}", "pool", "tasks", columns[0], columns[1], columns[2]);
    for pool in [1, 2, 3, 4, 8, 16] {
        let config = Config { pool_size: NonZeroUsize::new(pool).ok_or("zero")?, ..Config::new(server.0.parse()?) };
        let redis = RedisService::start(config)?;
        redis.wait_until_connected(Duration::from_secs(5)).await?;
        redis.execute("bench.fill", Command::new("SET").key(KEY).arg(vec![b'x'; 64])).await?;
        for tasks in [1, 16, 64, 256] {
            let get = measure(&redis, tasks, Call::Known).await?;
            let words = measure(&redis, tasks, Call::Words).await?;
            let script = measure(&redis, tasks, Call::Script).await?;
            println!("{pool:>5} {tasks:>6} {get:>24} {words:>24} {script:>24}");
        }
        redis.shutdown().await;
    }
    Ok(())
}

/// Operations per second, median and 99th percentile.
async fn measure(redis: &RedisService, tasks: usize, call: Call) -> Result<String, Failure> {
    let started = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while started.elapsed() < CELL {
                    let asked = Instant::now();
                    match call {
                        Call::Known => redis.execute("bench.get", Command::new("GET").key(KEY)).await?,
                        Call::Words => redis.execute("bench.words", Command::new("get").key(KEY)).await?,
                        Call::Script => redis.run(&READ, vec![KEY.to_owned()], Vec::<Bytes>::new()).await?,
                    };
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
