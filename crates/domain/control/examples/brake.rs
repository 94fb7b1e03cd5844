//! Pulls the brake on one user and lets go again: `cargo run -p trackside-control --example brake [redis://localhost]`.
//!
//! With a Redis, `redis-cli PSUBSCRIBE 'agent:*'` shows the messages, and `redis-cli PUBLISH agent:pause:42 now` pauses too.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use trackside_control::{AgentControl, Config, ControlBus, MemoryControlBus, PauseRequest, StopOutcome};
use trackside_core::{SystemClock, UserId};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let control = AgentControl::new(bus()?, Config::default());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (control, shutdown) = (control.clone(), shutdown.clone());
        async move { control.run(shutdown).await }
    });

    let user: UserId = "42".parse()?;
    let request = PauseRequest { reason: Some("runaway spend".into()), by: Some("ops".into()), expires_in: None };
    let receipt = control.pause(&user, request).await?;
    println!("paused since {}, heard by {}, pending: {}", receipt.since, receipt.receivers, receipt.pending);
    if !receipt.pending {
        // A worker reports what it was told to stop, and that it did.
        control.report(&user, "task-1", StopOutcome::Ordered).await?;
        control.report(&user, "task-1", StopOutcome::Stopped).await?;
        println!("{:?}", control.verification(&user).await?);
        println!("{:?}", control.resume(&user).await?);
    }
    shutdown.cancel();
    running.await?;
    Ok(())
}

#[cfg(feature = "redis")]
fn bus() -> anyhow::Result<Arc<dyn ControlBus>> {
    use trackside_control::RedisControlBus;
    match std::env::args().nth(1) {
        Some(url) => {
            let redis = trackside_redis::RedisService::start(trackside_redis::Config::new(url.parse()?))?;
            Ok(Arc::new(RedisControlBus::new(redis)))
        }
        None => Ok(in_memory()),
    }
}

#[cfg(not(feature = "redis"))]
fn bus() -> anyhow::Result<Arc<dyn ControlBus>> {
    Ok(in_memory())
}

fn in_memory() -> Arc<dyn ControlBus> {
    Arc::new(MemoryControlBus::new(Arc::new(SystemClock::default())))
}
