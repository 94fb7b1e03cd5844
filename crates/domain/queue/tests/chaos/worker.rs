//! A worker in a process of its own: it does what the payload says, and journals all of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use trackside_core::KeyPrefix;
use trackside_queue::{
    ClaimedTask, Config, Handlers, ProcessorConfig, QueueManager, RedisQueueStore, StartGate, TaskEvent, TaskFailure,
    TaskObserver, TaskProcessor, handler_fn,
};
use trackside_redis::RedisService;

use crate::journal::{Event, Journal};

/// The kind of every task of the matrix.
pub(crate) const KIND: &str = "work";
/// Done after two milliseconds.
pub(crate) const QUICK: &str = "{}";
/// Done when the worker is let go.
pub(crate) const WAIT: &str = "\"wait\"";
/// Takes the whole process with it.
pub(crate) const ABORT: &str = "\"abort\"";
/// Fails once, and is then done.
pub(crate) const FAIL_ONCE: &str = "\"fail once\"";

/// What a worker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) queue: String,
    pub(crate) name: String,
    /// Where the journals are, and the files that let waiting tasks go on.
    pub(crate) folder: PathBuf,
    /// `None` is the default of the library.
    pub(crate) lease_ms: Option<u64>,
    pub(crate) places: usize,
    /// Stops for good when a task is about to start.
    pub(crate) hangs_at_the_gate: bool,
    /// How often a connection is asked for a sign of life; `None` is the default of the library.
    pub(crate) ping_ms: Option<u64>,
}

/// Journals what the processor tells, and is the gate at which a worker hangs.
#[derive(Debug, Clone)]
struct Witness(Arc<Journal>);

/// Journals that a handler was dropped.
struct Unfinished<'a> {
    journal: &'a Journal,
    task: &'a ClaimedTask,
}

/// The settings of every process of a row, which must agree.
pub(crate) fn config(lease_ms: Option<u64>) -> Config {
    let default = Config::default();
    let Some(lease) = lease_ms.map(Duration::from_millis) else { return default };
    Config { lease, renew_every: lease / 4, ..default }
}

/// The queues as a process of the matrix reaches them.
pub(crate) fn queues(url: &str, prefix: &str, lease_ms: Option<u64>, ping_ms: Option<u64>) -> QueueManager {
    let default = trackside_redis::Config::new(url.parse().unwrap());
    let ping_interval = ping_ms.map_or(default.ping_interval, Duration::from_millis);
    let prefix = KeyPrefix::new(prefix);
    let service = RedisService::start(trackside_redis::Config { prefix, ping_interval, ..default }).unwrap();
    QueueManager::new(Arc::new(RedisQueueStore::new(service, config(lease_ms))), config(lease_ms))
}

/// The processor that every worker of the matrix is.
pub(crate) fn processor(queues: QueueManager, worker: &Worker, journal: &Arc<Journal>) -> TaskProcessor {
    let (go_file, name, diary) = (worker.go_file(), worker.name.clone(), Arc::clone(journal));
    let work = handler_fn(move |task, _| {
        let (go_file, name, journal) = (go_file.clone(), name.clone(), Arc::clone(&diary));
        async move {
            journal.write(Event::Begin, task.id, task.fence.0);
            let unfinished = Unfinished { journal: &journal, task: &task };
            match std::str::from_utf8(&task.payload).unwrap_or_default() {
                ABORT => std::process::abort(),
                WAIT => {
                    while !go_file.exists() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                FAIL_ONCE if task.attempt == 1 => {
                    journal.write(Event::Fail, task.id, task.fence.0);
                    return Err(TaskFailure::RetryAfter(Duration::from_millis(1), "the first time".to_owned()));
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
            std::mem::forget(unfinished);
            journal.write(Event::Run, task.id, task.fence.0);
            Ok(Some(Bytes::from(format!("\"{name}\""))))
        }
    });
    let config = ProcessorConfig { concurrency: worker.places.try_into().unwrap(), ..ProcessorConfig::default() };
    let handlers = Handlers::new().on(KIND, work);
    let processor = TaskProcessor::new(queues, worker.queue.parse().unwrap(), handlers, config);
    let witness = Witness(Arc::clone(journal));
    let processor = processor.with_observer(Arc::new(witness.clone()));
    if worker.hangs_at_the_gate { processor.with_gate(Arc::new(witness)) } else { processor }
}

// === impl Worker ===

impl Worker {
    /// Lets the waiting tasks of this worker go on.
    pub(crate) fn let_go(&self) {
        std::fs::write(self.go_file(), "").unwrap();
    }

    fn go_file(&self) -> PathBuf {
        self.folder.join(format!("{}.go", self.name))
    }

    /// Works until it is asked to stop by SIGTERM.
    pub(crate) async fn work(self) {
        let journal = Arc::new(Journal::open(&self.folder, &self.name));
        let queues = queues(&self.url, &self.prefix, self.lease_ms, self.ping_ms);
        let shutdown = CancellationToken::new();
        let mut asked = signal(SignalKind::from_raw(Signal::SIGTERM as i32)).unwrap();
        let working = processor(queues, &self, &journal).run(shutdown.clone());
        let stopping = async {
            asked.recv().await;
            journal.note(Event::Draining, &self.name);
            shutdown.cancel();
        };
        tokio::join!(working, stopping);
    }
}

// === impl Unfinished ===

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.journal.write(Event::Stopped, self.task.id, self.task.fence.0);
    }
}

// === impl Witness ===

impl TaskObserver for Witness {
    fn on(&self, event: &TaskEvent) {
        let (event, task) = match event {
            TaskEvent::Finished { task, .. } => (Event::Finished, task),
            TaskEvent::LeaseLost { task } => (Event::Lost, task),
            TaskEvent::Returned { task, .. } => (Event::Returned, task),
            _ => return,
        };
        self.0.write(event, task.id, task.fence.0);
    }
}

impl StartGate for Witness {
    fn may_start(&self, task: &ClaimedTask) -> bool {
        self.0.write(Event::Claimed, task.id, task.fence.0);
        loop {
            std::thread::park();
        }
    }
}
