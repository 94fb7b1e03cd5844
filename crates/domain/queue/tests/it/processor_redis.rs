//! The processor on a real Redis: woken without polling, through kills and freezes of the server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, TaskId};
use trackside_queue::{
    Config, Handlers, NewTask, ProcessorHandle, ProcessorState, QueueManager, RedisQueueStore, TaskProcessor,
    TaskState, handler_fn,
};
use trackside_testkit::{Fsync, RedisServer, eventually};

use crate::{
    names::unique_queue,
    processor_kit::places,
    redis_kit::{OnRedis, PATIENCE},
};

const LONG: Duration = Duration::from_secs(90);

type Runs = Arc<Mutex<HashMap<TaskId, usize>>>;

struct Working {
    queue: QueueName,
    queues: QueueManager,
    handle: ProcessorHandle,
    runs: Runs,
    shutdown: CancellationToken,
    loop_task: JoinHandle<()>,
}

impl Working {
    /// A processor whose handler takes `each` and counts its runs.
    async fn start(server: &RedisServer, prefix: &str, config: Config, each: Duration) -> Self {
        // The service's own deadline of half a second, so that a server that hangs is noticed.
        let service = trackside_redis::RedisService::start(trackside_redis::Config {
            prefix: trackside_core::KeyPrefix::new(prefix),
            ..trackside_redis::Config::new(server.url().parse().unwrap())
        })
        .unwrap();
        service.wait_until_connected(PATIENCE).await.unwrap();
        let queues = QueueManager::new(Arc::new(RedisQueueStore::new(service, config.clone())), config);
        let (queue, runs) = (unique_queue(), Runs::default());
        let counted = runs.clone();
        let work = handler_fn(move |task, _| {
            *counted.lock().unwrap().entry(task.id).or_default() += 1;
            async move {
                tokio::time::sleep(each).await;
                Ok(None)
            }
        });
        let handlers = Handlers::new().on("work", work);
        let processor = TaskProcessor::new(queues.clone(), queue.clone(), handlers, places(16));
        let (handle, shutdown) = (processor.handle(), CancellationToken::new());
        let loop_task = tokio::spawn(processor.run(shutdown.clone()));
        Self { queue, queues, handle, runs, shutdown, loop_task }
    }

    async fn enqueue(&self, count: usize) -> Vec<TaskId> {
        let tasks: Vec<_> = (0..count).map(|_| NewTask::new(&self.queue, "work", "{}")).collect();
        let ids = tasks.iter().map(|task| task.id).collect();
        self.queues.enqueue_many(&self.queue, tasks).await.unwrap();
        ids
    }

    async fn completes(&self, count: u64) {
        let all = || async {
            let stats = self.queues.stats(&self.queue).await.map_err(|error| error.to_string())?;
            if stats.completed >= count { Ok(()) } else { Err(format!("{stats:?}")) }
        };
        eventually(all, LONG).await;
    }

    fn ran(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.loop_task.await.unwrap();
    }
}

/// Leases short enough to wait for, and an idle wait that would show if anything relied on it.
fn config() -> Config {
    let lease = Duration::from_secs(3);
    Config { lease, renew_every: lease / 4, idle_wait: Duration::from_secs(3_600), ..Config::default() }
}

#[tokio::test]
async fn an_idle_worker_is_woken_by_a_producer_and_by_a_plain_client() {
    let server = RedisServer::shared().await;
    let prefix = server.unique_prefix();
    let working = Working::start(server, &prefix, config(), Duration::ZERO).await;
    for round in 1..=3 {
        // It has nothing to do and waits, for an hour if nobody wakes it.
        eventually(|| async { working.handle.status().running == 0 }, PATIENCE).await;
        working.enqueue(1).await;
        working.completes(2 * round - 1).await;
        server.cli(&["LPUSH", &format!("{prefix}{}:queue", working.queue), r#"{"kind": "work", "page": 7}"#]);
        working.completes(2 * round).await;
    }
    assert_eq!(working.ran(), 6);
    working.stop().await;
}

#[tokio::test]
async fn a_thousand_tasks_survive_the_death_of_redis_before_and_during_their_work() {
    let server = RedisServer::builder().appendonly(Fsync::EverySec).start().await.unwrap();
    let working = Working::start(&server, "", config(), Duration::from_millis(1)).await;
    working.queues.pause(&working.queue).await.unwrap();
    let ids = working.enqueue(1_000).await;
    // The append-only file may lag behind the answers; what the kernel has survives the process.
    let is_written = || async { server.cli(&["INFO", "persistence"]).contains("aof_buffer_length:0") };
    eventually(is_written, PATIENCE).await;
    server.kill9();
    server.restart().await.unwrap();
    let is_back = || async { working.queues.resume(&working.queue).await };
    eventually(is_back, PATIENCE).await;
    eventually(|| async { working.ran() >= 200 }, LONG).await;
    server.kill9();
    eventually(|| async { matches!(working.handle.status().state, ProcessorState::Disconnected { .. }) }, LONG).await;
    server.restart().await.unwrap();
    for id in &ids {
        let completed = || async {
            let status = working.queues.status(*id).await.map_err(|error| error.to_string())?;
            match status {
                Some(status) if status.state == TaskState::Completed => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        eventually(completed, LONG).await;
    }
    assert_eq!(working.ran(), 1_000, "every task ran");
    assert_eq!(working.handle.status().state, ProcessorState::Running);
    working.stop().await;
}

#[tokio::test]
async fn a_redis_that_freezes_under_load_loses_nothing() {
    let server = RedisServer::start().await.unwrap();
    let working = Working::start(&server, "", config(), Duration::from_millis(5)).await;
    working.enqueue(1_000).await;
    eventually(|| async { working.ran() >= 100 }, LONG).await;
    server.pause();
    let frozen = Instant::now();
    // Longer than a lease, so that everything that was held has to be let go.
    eventually(|| async { frozen.elapsed() > Duration::from_secs(4) }, LONG).await;
    assert!(matches!(working.handle.status().state, ProcessorState::Disconnected { .. }));
    assert_eq!(working.handle.running(), [], "nothing runs on a lease that may have ended");
    server.resume();
    working.completes(1_000).await;
    assert_eq!(working.ran(), 1_000, "every task ran");
    let stats = working.queues.stats(&working.queue).await.unwrap();
    assert_eq!((stats.created, stats.completed, stats.dead), (1_000, 1_000, 0));
    working.stop().await;
}

#[tokio::test]
async fn a_shared_store_serves_processors_of_several_queues() {
    let on_redis = OnRedis::shared().await;
    let queues = QueueManager::new(Arc::new(on_redis.store.clone()), on_redis.config.clone());
    let shutdown = CancellationToken::new();
    let mut running = Vec::new();
    for _ in 0..4 {
        let queue = unique_queue();
        let echo = handler_fn(|task, _| async move { Ok(Some(task.payload.clone())) });
        let processor = TaskProcessor::new(queues.clone(), queue.clone(), Handlers::new().fallback(echo), places(2));
        running.push((queue, tokio::spawn(processor.run(shutdown.clone()))));
    }
    for (queue, _) in &running {
        let task = NewTask::new(queue, "echo", format!("\"{queue}\""));
        let id = task.id;
        queues.enqueue(queue, task).await.unwrap();
        let result =
            eventually(|| async { queues.status(id).await.unwrap().and_then(|status| status.result) }, LONG).await;
        assert_eq!(result, format!("\"{queue}\""));
    }
    shutdown.cancel();
    for (_, loop_task) in running {
        loop_task.await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_is_stopped_as_a_task_arrives_leaves_no_lease_behind() {
    let server = RedisServer::shared().await;
    for _ in 0..10 {
        let working = Working::start(server, &server.unique_prefix(), Config::default(), Duration::ZERO).await;
        working.enqueue(1).await;
        working.completes(1).await;
        let queues = working.queues.clone();
        let queue = working.queue.clone();
        let late = NewTask::new(&queue, "work", "{}");
        let enqueue = async { queues.enqueue(&queue, late).await.unwrap() };
        let ((), _) = tokio::join!(working.stop(), enqueue);
        let stats = queues.stats(&queue).await.unwrap();
        assert_eq!((stats.active, stats.crashed), (0, 0), "{stats:?}");
    }
}
