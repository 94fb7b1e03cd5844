//! A producer: it journals each attempt and each acknowledgement, and repeats a call until it is answered.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use trackside_core::{QueueName, TaskId};
use trackside_queue::{Due, NewTask, QueueManager, TaskOptions};

use crate::{
    journal::{Event, Journal},
    worker::{KIND, queues},
};

/// What a producer in a process of its own is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Producer {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) queue: String,
    pub(crate) name: String,
    /// Where the journals are.
    pub(crate) folder: PathBuf,
    pub(crate) orders: Orders,
}

/// What is enqueued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) count: usize,
    /// How many with one call.
    pub(crate) batch: usize,
    pub(crate) payload: String,
    /// How long after the enqueue they are due.
    pub(crate) delay_ms: u64,
}

/// Enqueues all of it, however often that takes.
pub(crate) async fn produce(
    queues: &QueueManager,
    queue: &QueueName,
    journal: &Journal,
    orders: &Orders,
) -> Vec<TaskId> {
    let due = match orders.delay_ms {
        0 => Due::Now,
        delay => Due::After(Duration::from_millis(delay)),
    };
    let mut ids = Vec::with_capacity(orders.count);
    while ids.len() < orders.count {
        let size = orders.batch.min(orders.count - ids.len());
        let task = || {
            let options = TaskOptions { due, ..TaskOptions::default() };
            NewTask::new(queue, KIND, orders.payload.clone()).with(options)
        };
        let tasks: Vec<_> = (0..size).map(|_| task()).collect();
        let batch: Vec<_> = tasks.iter().map(|task| task.id).collect();
        journal.write_all(Event::Attempt, batch.clone());
        while let Err(error) = queues.enqueue_many(queue, tasks.clone()).await {
            // The same ids again: a call whose answer was lost may be repeated.
            assert!(!matches!(error, trackside_queue::Error::InvalidTask { .. }), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        journal.write_all(Event::Accepted, batch.clone());
        ids.extend(batch);
    }
    ids
}

// === impl Orders ===

impl Orders {
    pub(crate) fn of(count: usize, payload: &str) -> Self {
        Self { count, batch: 1, payload: payload.to_owned(), delay_ms: 0 }
    }
}

// === impl Producer ===

impl Producer {
    pub(crate) async fn produce(self) {
        let journal = Journal::open(&self.folder, &self.name);
        let queues = queues(&self.url, &self.prefix, None, None);
        produce(&queues, &self.queue.parse().unwrap(), &journal, &self.orders).await;
    }
}
