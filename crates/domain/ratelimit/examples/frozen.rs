//! How long the requests to a limited route take while Redis stands still.
//!
//! `cargo run --release -p trackside-ratelimit --features axum --example frozen` serves a route behind a `RateLimitLayer`, stops a
//! Redis of its own (SIGSTOP) under load, and tells the quantiles of the requests before it, until the circuit breaker opened, while
//! it was open, and afterwards.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::request::Parts, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use trackside_ratelimit::{
    Config, Dimension, Limit, Policy, PolicyName, Quota, RateLimitLayer, RateLimiter, RedisRateLimitStore, Subject,
};
use trackside_redis::RedisService;
use trackside_resilience::BreakerState;
use trackside_testkit::RedisServer;

/// Connections, each with one request at a time.
const CLIENTS: usize = 16;
/// What a client does besides.
const PAUSE: Duration = Duration::from_millis(2);
/// How long Redis is watched before it is stopped, and afterwards.
const WELL: Duration = Duration::from_secs(2);
/// How long the open breaker is watched: long enough for it to look for Redis again many times.
const FROZEN: Duration = Duration::from_secs(10);

/// What happens to Redis, in order.
const PHASES: [&str; 4] = ["well", "frozen, closed", "frozen, open", "back"];

/// The phase that goes on.
type Phase = Arc<AtomicUsize>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = RedisServer::start().await?;
    let redis = RedisService::start(trackside_redis::Config::new(server.url().parse()?))?;
    redis.wait_until_connected(Duration::from_secs(5)).await?;
    let address = serve(redis.clone()).await?;

    let phase = Phase::default();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(address, Arc::clone(&phase)));
    }
    sleep(WELL).await;
    server.pause();
    phase.store(1, Ordering::Relaxed);
    while !matches!(redis.breaker(), BreakerState::Open { .. }) {
        sleep(Duration::from_millis(1)).await;
    }
    phase.store(2, Ordering::Relaxed);
    sleep(FROZEN).await;
    server.resume();
    phase.store(3, Ordering::Relaxed);
    sleep(WELL).await;
    phase.store(PHASES.len(), Ordering::Relaxed);

    let mut times: [Vec<Duration>; PHASES.len()] = Default::default();
    for seen in clients.join_all().await {
        for (phase, took) in seen? {
            times[phase].push(took);
        }
    }
    println!("{:>15} {:>9} {:>9} {:>9} {:>9} {:>9}", "redis", "requests", "p50 ms", "p99 ms", "p99.9 ms", "max ms");
    for (phase, mut times) in PHASES.into_iter().zip(times) {
        times.sort_unstable();
        let at = |part: usize| {
            let time = times.get((times.len() * part / 1_000).min(times.len().saturating_sub(1)));
            time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        let [half, most, nearly_all, all] = [500, 990, 999, 1_000].map(at);
        println!("{phase:>15} {:>9} {half:>9.2} {most:>9.2} {nearly_all:>9.2} {all:>9.2}", times.len());
    }
    Ok(())
}

/// A route that is limited by user; answers where it is.
async fn serve(redis: RedisService) -> anyhow::Result<SocketAddr> {
    let policy = Policy::of([Limit::new(Dimension::User, Quota::new(1_000_000, Duration::from_secs(60)))]);
    let name: PolicyName = "route".parse()?;
    let config = Config { policies: [(name.clone(), policy)].into(), ..Config::default() };
    let limiter = RateLimiter::new(Arc::new(RedisRateLimitStore::new(redis)), config)?;
    let layer = RateLimitLayer::new(limiter, name, |_: &Parts| Subject::of(Dimension::User, "alice").ok());
    let app = Router::new().route("/", get(|| async { "here" })).layer(layer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Asks until the last phase is over; answers in which phase each request began and how long it took.
async fn ask(address: SocketAddr, phase: Phase) -> anyhow::Result<Vec<(usize, Duration)>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut seen = Vec::new();
    let mut buffer = vec![0; 4096];
    loop {
        let began_in = phase.load(Ordering::Relaxed);
        if began_in >= PHASES.len() {
            return Ok(seen);
        }
        let start = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        let mut length = 0;
        while !buffer[..length].ends_with(b"\r\n\r\nhere") {
            let read = stream.read(&mut buffer[length..]).await?;
            anyhow::ensure!(read > 0, "the answer is {:?}", String::from_utf8_lossy(&buffer[..length]));
            length += read;
        }
        anyhow::ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&buffer[..length]));
        seen.push((began_in, start.elapsed()));
        sleep(PAUSE).await;
    }
}
