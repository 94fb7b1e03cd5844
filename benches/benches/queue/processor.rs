//! The processor as programs run it: how fast it works a queue off, and how soon it picks a task up.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use trackside_queue::{
    Config, Handlers, ProcessorConfig, QueueManager, TaskEvent, TaskObserver, TaskProcessor, handler_fn,
};
use trackside_testkit::{Fsync, RedisServer};

use super::stage::{KIND, Stage};

/// Notes when handlers start, and when what they did is durable.
struct Notes(mpsc::UnboundedSender<Note>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    Started(Instant),
    Finished(Instant),
}

/// A processor at work.
struct Running {
    notes: mpsc::UnboundedReceiver<Note>,
    shutdown: CancellationToken,
    working: JoinHandle<()>,
}

/// A full queue, worked off.
pub(crate) fn places(criterion: &mut Criterion) {
    let stage = Stage::new(RedisServer::builder().appendonly(Fsync::EverySec));
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    for places in [1, 16, 64] {
        stage.server.cli(&["FLUSHALL"]);
        group.bench_with_input(BenchmarkId::new("processor", places), &places, |bencher, &places| {
            bencher.to_async(&stage.runtime).iter_custom(|tasks| drain(&stage, tasks, places));
        });
    }
    group.finish();
}

/// An idle queue, and one task at a time.
pub(crate) fn pick_up(criterion: &mut Criterion) {
    let stage = Stage::new(RedisServer::builder().appendonly(Fsync::EverySec));
    let mut group = criterion.benchmark_group("queue");
    group.bench_function("pick-up", |bencher| {
        bencher.to_async(&stage.runtime).iter_custom(|tasks| pick_ups(&stage, tasks));
    });
    group.finish();
}

/// From the start of the first handler until the last task is acknowledged.
async fn drain(stage: &Stage, tasks: u64, places: usize) -> Duration {
    stage.fill(tasks).await;
    let mut running = Running::start(stage, places);
    let mut begun = None;
    let mut ended = 0;
    loop {
        match running.notes.recv().await.expect("the processor works") {
            Note::Started(at) => {
                begun.get_or_insert(at);
            }
            Note::Finished(at) => {
                ended += 1;
                if ended == tasks {
                    running.stop().await;
                    return at - begun.expect("a task that ended has started");
                }
            }
        }
    }
}

/// From each call that enqueues to the start of its handler; the worker has come to rest before the next one.
async fn pick_ups(stage: &Stage, tasks: u64) -> Duration {
    const REST: Duration = Duration::from_millis(2);
    let mut running = Running::start(stage, 16);
    let mut took = Duration::ZERO;
    for _ in 0..tasks {
        tokio::time::sleep(REST).await;
        let begun = Instant::now();
        stage.fill(1).await;
        while let Note::Started(at) = running.notes.recv().await.expect("the processor works") {
            took += at.saturating_duration_since(begun);
        }
    }
    running.stop().await;
    took
}

// === impl Running ===

impl Running {
    fn start(stage: &Stage, places: usize) -> Self {
        let queues = QueueManager::new(Arc::new(stage.store.clone()), Config::default());
        let handlers = Handlers::new().on(KIND, handler_fn(|_, _| async { Ok(None) }));
        let concurrency = NonZeroUsize::new(places).expect("places");
        let config = ProcessorConfig { concurrency, ..ProcessorConfig::default() };
        let (sender, notes) = mpsc::unbounded_channel();
        let processor = TaskProcessor::new(queues, stage.queue.clone(), handlers, config);
        let processor = processor.with_observer(Arc::new(Notes(sender)));
        let shutdown = CancellationToken::new();
        let working = tokio::spawn(processor.run(shutdown.clone()));
        Self { notes, shutdown, working }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.working.await.expect("the processor stops");
    }
}

// === impl Notes ===

impl TaskObserver for Notes {
    fn on(&self, event: &TaskEvent) {
        let note = match event {
            TaskEvent::Started { .. } => Note::Started(Instant::now()),
            TaskEvent::Finished { .. } => Note::Finished(Instant::now()),
            _ => return,
        };
        // Nobody listens once the last task has ended.
        let _ = self.0.send(note);
    }
}
