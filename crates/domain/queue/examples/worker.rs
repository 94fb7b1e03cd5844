//! A producer and a worker in one program, on the store in memory: `cargo run -p trackside-queue --example worker`.
//!
//! With `RedisQueueStore` in place of `MemoryQueueStore`, the two may be different programs.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, SystemClock};
use trackside_queue::{
    Config, Handlers, MemoryQueueStore, NewTask, ProcessorConfig, QueueManager, TaskFailure, TaskProcessor, handler_fn,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryQueueStore::new(Config::default(), Arc::new(SystemClock::default()));
    let queues = QueueManager::new(Arc::new(store), Config::default());
    let words: QueueName = "words".parse()?;

    let count = handler_fn(|task, context| async move {
        let text: String = serde_json::from_slice(&task.payload).map_err(TaskFailure::permanent)?;
        context.progress(Some(50.0), Some("read".to_owned()));
        Ok(Some(text.split_whitespace().count().to_string().into()))
    });
    let handlers = Handlers::new().on("words.count", count);
    let processor = TaskProcessor::new(queues.clone(), words.clone(), handlers, ProcessorConfig::default());
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(processor.run(shutdown.clone()));

    let task = NewTask::new(&words, "words.count", r#""the quick brown fox""#);
    let id = task.id;
    queues.enqueue(&words, task).await?;
    let status = loop {
        match queues.status(id).await? {
            Some(status) if status.state.is_finished() => break status,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    println!("{}: result {:?}, error {:?}", status.state.as_str(), status.result, status.error);
    shutdown.cancel();
    Ok(working.await?)
}
