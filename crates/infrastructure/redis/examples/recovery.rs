//! How long callers go on failing after the server is back.
//!
//! `cargo run --release -p trackside-redis --example recovery` freezes, kills and reloads a server of its own under load,
//! and tells for each kind of outage when the first call succeeded and when the last one failed, counted from the
//! moment at which the server could answer again.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;
use trackside_redis::{Command, Config, RedisService};
use trackside_testkit::{Fsync, RedisServer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Callers, each of whom asks again after [`PAUSE`].
const CALLERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(2);
/// Watched for so long after the return.
const AFTER: Duration = Duration::from_secs(4);
/// Outages of so many milliseconds.
const OUTAGES: [u64; 5] = [300, 800, 1500, 3000, 6000];

/// When each call ended, and whether it succeeded.
type Seen = Arc<Mutex<Vec<(Instant, bool)>>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("{:>8} {:>10} {:>18} {:>18}", "outage", "for", "first success", "last failure");
    for lasts in OUTAGES.map(Duration::from_millis) {
        let server = RedisServer::start().await.map_err(text)?;
        measure(&server, "frozen", lasts, async {
            server.pause();
            sleep(lasts).await;
            server.resume();
            Ok(())
        })
        .await?;
    }
    for lasts in OUTAGES.map(Duration::from_millis) {
        let server = RedisServer::builder().appendonly(Fsync::EverySec).start().await.map_err(text)?;
        measure(&server, "killed", lasts, async {
            server.kill9();
            sleep(lasts).await;
            server.restart().await.map_err(text)
        })
        .await?;
    }
    let server = RedisServer::builder()
        .option("key-load-delay", "1000")
        .option("rdbcompression", "no")
        .start()
        .await
        .map_err(text)?;
    server.cli(&["DEBUG", "POPULATE", "3000", "key", "16384"]);
    server.cli(&["SAVE"]);
    measure(&server, "loading", Duration::from_secs(3), async {
        server.kill9();
        server.restart().await.map_err(text)
    })
    .await
}

/// Runs an outage, which ends when the server can answer, under load.
async fn measure(
    server: &RedisServer,
    name: &str,
    lasts: Duration,
    outage: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let redis = RedisService::start(Config::new(server.url().parse()?))?;
    redis.wait_until_connected(Duration::from_secs(5)).await?;
    let (seen, over) = (Seen::default(), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(call(redis.clone(), Arc::clone(&seen), Arc::clone(&over)))).collect();
    sleep(Duration::from_millis(300)).await;
    outage.await?;
    let back = Instant::now();
    sleep(AFTER).await;
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await?;
    }
    redis.shutdown().await;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let after =
        |succeeded: bool| seen.iter().filter(move |(at, ok)| *at >= back && *ok == succeeded).map(|(at, _)| *at);
    let ms = |at: Option<Instant>| at.map_or_else(|| "none".to_owned(), |at| format!("{} ms", (at - back).as_millis()));
    let (first, last) = (ms(after(true).min()), ms(after(false).max()));
    println!("{name:>8} {:>7} ms {first:>18} {last:>18}", lasts.as_millis());
    Ok(())
}

async fn call(redis: RedisService, seen: Seen, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let succeeded = redis.execute("bench.get", Command::new("GET").key("recovery")).await.is_ok();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), succeeded));
        sleep(PAUSE).await;
    }
}

fn text(error: impl std::fmt::Display) -> Failure {
    format!("{error:#}").into()
}
