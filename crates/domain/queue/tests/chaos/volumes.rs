//! Numbers of tasks that stop other systems: a million due at once, a hundred thousand retries, batches of thousands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use trackside_core::{TaskId, WorkerId};
use trackside_queue::{
    Handlers, MAX_BATCH, NewTask, Outcome, Priority, ProcessorConfig, QueueManager, QueueStore, RedisQueueStore,
    Settlement, Step, TaskFailure, TaskOptions, TaskProcessor, handler_fn,
};
use trackside_testkit::eventually;

use crate::{
    journal::{Event, Journal},
    producer::{Orders, produce},
    row::{PATIENCE, Row, scale},
    verdict::Expected,
    worker::{FAIL_ONCE, KIND, QUICK, config},
};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A processor in this process, on queues whose clock can be moved: nothing here is killed.
struct Flood {
    row: Row,
    store: RedisQueueStore,
    queues: QueueManager,
    journal: Arc<Journal>,
    offset_ms: Arc<AtomicU64>,
}

// === impl Flood ===

impl Flood {
    async fn new(name: &'static str) -> Self {
        let row = Row::new(name).await;
        let offset_ms = Arc::new(AtomicU64::new(0));
        // The lease outlives the jump of the clock.
        let config = config(Some(4 * HOUR_MS));
        let store = RedisQueueStore::with_clock_offset(row.service.clone(), config.clone(), Arc::clone(&offset_ms));
        let queues = QueueManager::new(Arc::new(store.clone()), config);
        Self { row, store, queues, journal: Arc::new(Journal::in_memory("flood")), offset_ms }
    }

    async fn produce(&self, orders: &Orders) -> Vec<TaskId> {
        produce(&self.queues, &self.row.queue, &self.journal, orders).await
    }

    fn an_hour_passes(&self) {
        self.offset_ms.fetch_add(HOUR_MS + 1, Ordering::Relaxed);
    }

    /// Works until the returned token is cancelled.
    fn work(&self) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let journal = Arc::clone(&self.journal);
        let work = handler_fn(move |task, _| {
            let journal = Arc::clone(&journal);
            async move {
                if &*task.payload == FAIL_ONCE.as_bytes() && task.attempt == 1 {
                    journal.write(Event::Fail, task.id, task.fence.0);
                    return Err(TaskFailure::RetryAfter(Duration::from_millis(HOUR_MS), "the first time".to_owned()));
                }
                journal.write(Event::Run, task.id, task.fence.0);
                Ok(None)
            }
        });
        let config = ProcessorConfig { concurrency: 64.try_into().unwrap(), ..ProcessorConfig::default() };
        let handlers = Handlers::new().on(KIND, work);
        let processor = TaskProcessor::new(self.queues.clone(), self.row.queue.clone(), handlers, config);
        let shutdown = CancellationToken::new();
        (shutdown.clone(), tokio::spawn(processor.run(shutdown)))
    }

    async fn finish(self) {
        self.row.drained().await;
        let sum = self.row.finish_with(self.journal.taken(), Expected::default()).await;
        assert_eq!((sum.acknowledged, sum.duplicated), (sum.attempted, 0));
    }
}

#[tokio::test]
async fn a_crowd_that_is_due_at_once_is_worked_off_and_urgent_work_does_not_wait_behind_it() {
    let flood = Flood::new("due at once").await;
    let count = scale(10_000, 1_000_000);
    flood.produce(&Orders { batch: MAX_BATCH, delay_ms: HOUR_MS, ..Orders::of(count, QUICK) }).await;
    flood.an_hour_passes();
    let (shutdown, working) = flood.work();
    eventually(|| async { flood.row.stats().await.completed > 0 }, PATIENCE).await;
    let options = TaskOptions { priority: Priority::Critical, ..TaskOptions::default() };
    let urgent = NewTask::new(&flood.row.queue, KIND, QUICK).with(options);
    let id = urgent.id;
    flood.journal.write_all(Event::Attempt, [id]);
    flood.queues.enqueue(&flood.row.queue, urgent).await.unwrap();
    flood.journal.write_all(Event::Accepted, [id]);
    flood.row.ended(id).await;
    let left = flood.row.stats().await;
    assert!(left.delayed + left.ready.iter().sum::<u64>() > 0, "it did not wait for the crowd");
    eventually(|| async { flood.row.stats().await.completed == count as u64 + 1 }, PATIENCE * 20).await;
    shutdown.cancel();
    working.await.unwrap();
    flood.finish().await;
}

#[tokio::test]
async fn a_crowd_of_retries_that_are_due_at_once_is_worked_off() {
    let flood = Flood::new("retries due at once").await;
    let count = scale(5_000, 100_000);
    flood.produce(&Orders { batch: MAX_BATCH, ..Orders::of(count, FAIL_ONCE) }).await;
    let (shutdown, working) = flood.work();
    eventually(|| async { flood.row.stats().await.delayed == count as u64 }, PATIENCE * 20).await;
    flood.an_hour_passes();
    eventually(|| async { flood.row.stats().await.completed == count as u64 }, PATIENCE * 20).await;
    shutdown.cancel();
    working.await.unwrap();
    flood.finish().await;
}

#[tokio::test]
async fn eight_thousand_and_one_tasks_in_one_call_are_handed_out_in_their_order() {
    const COUNT: usize = 8_001;
    let flood = Flood::new("8,001 in one call").await;
    let ids = flood.produce(&Orders { batch: COUNT, ..Orders::of(COUNT, QUICK) }).await;
    let (mut order, mut settle) = (Vec::new(), Vec::new());
    while order.len() < COUNT || !settle.is_empty() {
        let lease = Duration::from_millis(HOUR_MS);
        let step = Step { settle, credits: MAX_BATCH, ..Step::new(WorkerId::generate("row"), lease) };
        let reply = flood.store.step(&flood.row.queue, step).await.unwrap();
        let outcome = Outcome::completed(None);
        let settlement = |task: &trackside_queue::ClaimedTask| {
            flood.journal.write(Event::Run, task.id, task.fence.0);
            Settlement { id: task.id, fence: task.fence, outcome: outcome.clone() }
        };
        order.extend(reply.claimed.iter().map(|task| task.id));
        settle = reply.claimed.iter().map(settlement).collect();
    }
    assert_eq!(order, ids);
    flood.finish().await;
}
