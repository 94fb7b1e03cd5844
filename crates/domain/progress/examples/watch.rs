//! Follows an operation while it is worked on: `cargo run -p trackside-progress --example watch [redis://localhost]`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use trackside_core::SystemClock;
use trackside_progress::{
    Config, FinalStatus, MemoryProgressStore, NewOperation, ProgressId, ProgressStore, ProgressTracker, StepSpec,
    Update,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::default();
    let store = store(&config)?;
    let tracker = ProgressTracker::new(store, config);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (tracker, shutdown) = (tracker.clone(), shutdown.clone());
        async move { tracker.run(shutdown).await }
    });

    let id: ProgressId = "import-42".parse()?;
    let steps = vec![StepSpec::named("read"), StepSpec::named("write")];
    tracker.put(&id, NewOperation { steps, ttl: Some(Duration::from_secs(60)) }).await?;
    let working = tokio::spawn(work(tracker.clone(), id.clone()));
    let mut events = Box::pin(tracker.events(&id, None));
    while let Some(event) = events.next().await {
        let id = event.id.map(|id| id.to_string()).unwrap_or_default();
        println!("{id:>20} {:<8} {}", event.kind, event.data);
    }
    working.await??;
    shutdown.cancel();
    running.await?;
    Ok(())
}

#[cfg(feature = "redis")]
fn store(config: &Config) -> anyhow::Result<Arc<dyn ProgressStore>> {
    use trackside_progress::RedisProgressStore;
    match std::env::args().nth(1) {
        Some(url) => {
            let redis = trackside_redis::RedisService::start(trackside_redis::Config::new(url.parse()?))?;
            Ok(Arc::new(RedisProgressStore::new(redis, config)))
        }
        None => Ok(in_memory(config)),
    }
}

#[cfg(not(feature = "redis"))]
fn store(config: &Config) -> anyhow::Result<Arc<dyn ProgressStore>> {
    Ok(in_memory(config))
}

fn in_memory(config: &Config) -> Arc<dyn ProgressStore> {
    Arc::new(MemoryProgressStore::new(config.clone(), Arc::new(SystemClock::default())))
}

async fn work(tracker: ProgressTracker, id: ProgressId) -> Result<(), trackside_progress::Error> {
    for step in ["read", "write"] {
        for percent in [25.0, 50.0, 75.0, 100.0] {
            let update = Update { step: Some(step.into()), percent: Some(percent), ..Update::default() };
            tracker.patch(&id, update).await?;
            tracker.log(&id, format!("{step}: {percent} %")).await?;
        }
    }
    tracker.finish(&id, FinalStatus::Completed, Some(serde_json::json!({"rows": 8}))).await?;
    Ok(())
}
