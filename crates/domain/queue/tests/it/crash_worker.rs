//! A worker in a process of its own, which can be killed: this test binary, started again.
//!
//! It writes a line into a journal for each thing that happens, and waits where it is told to.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use trackside_queue::{
    ClaimedTask, Config, Handlers, NewTask, ProcessorConfig, QueueManager, RedisQueueStore, StartGate, TaskContext,
    TaskEvent, TaskObserver, TaskProcessor, TaskState, handler_fn,
};
use trackside_testkit::{RedisServer, eventually};

use crate::{
    names::unique_queue,
    redis_kit::{PATIENCE, connect},
};

/// Where the settings of a worker process stand.
const SETTINGS: &str = "TRACKSIDE_CRASH_WORKER";
/// The test that is the worker when it finds settings.
const ENTRY: &str = "crash_worker::a_worker_that_nobody_kills_does_its_work";

/// Settings of a worker process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkerProcess {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) queue: String,
    pub(crate) name: String,
    /// Where the journal is, and the files that let waiting tasks go on.
    pub(crate) folder: PathBuf,
    pub(crate) lease_ms: u64,
    pub(crate) places: usize,
    /// Stops for good when a task is about to start.
    pub(crate) hangs_at_the_gate: bool,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) event: String,
    pub(crate) worker: String,
    pub(crate) task: String,
}

/// The journal's writing side.
#[derive(Debug, Clone)]
struct Journal {
    file: PathBuf,
    worker: String,
}

pub(crate) fn config(lease: Duration) -> Config {
    Config { lease, renew_every: lease / 4, ..Config::default() }
}

pub(crate) fn read_journal(folder: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(folder.join("journal")).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Entry { event: words.next().unwrap(), worker: words.next().unwrap(), task: words.next().unwrap() }
    };
    text.lines().map(entry).collect()
}

// === impl WorkerProcess ===

impl WorkerProcess {
    /// Starts the process. It is killed when the child is dropped.
    pub(crate) fn spawn(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([ENTRY, "--exact", "--nocapture"])
            .env(SETTINGS, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Lets the waiting tasks of this worker go on.
    pub(crate) fn let_go(&self) {
        std::fs::write(self.go_file(), "").unwrap();
    }

    fn go_file(&self) -> PathBuf {
        self.folder.join(format!("go-{}", self.name))
    }

    /// Works until `shutdown`, which a real worker process never sees.
    async fn work(self, shutdown: CancellationToken) {
        let config = config(Duration::from_millis(self.lease_ms));
        let service = trackside_redis::RedisService::start(trackside_redis::Config {
            prefix: trackside_core::KeyPrefix::new(&self.prefix),
            ..trackside_redis::Config::new(self.url.parse().unwrap())
        })
        .unwrap();
        let queues = QueueManager::new(Arc::new(RedisQueueStore::new(service, config.clone())), config);
        let journal = Journal { file: self.folder.join("journal"), worker: self.name.clone() };
        let (go_file, worker, diary) = (self.go_file(), self.name.clone(), journal.clone());
        let work = handler_fn(move |task, _: TaskContext| {
            let (go_file, worker, journal) = (go_file.clone(), worker.clone(), diary.clone());
            async move {
                journal.write("begin", &task);
                match &*task.payload {
                    b"\"abort\"" => std::process::abort(),
                    b"\"wait\"" => {
                        while !go_file.exists() {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
                journal.write("run", &task);
                Ok(Some(format!("\"{worker}\"").into()))
            }
        });
        let processor_config =
            ProcessorConfig { concurrency: self.places.try_into().unwrap(), ..ProcessorConfig::default() };
        let handlers = Handlers::new().on("work", work);
        let processor = TaskProcessor::new(queues, self.queue.parse().unwrap(), handlers, processor_config);
        let mut processor = processor.with_observer(Arc::new(journal.clone()));
        if self.hangs_at_the_gate {
            processor = processor.with_gate(Arc::new(journal));
        }
        processor.run(shutdown).await;
    }
}

// === impl Journal ===

impl Journal {
    fn write(&self, event: &str, task: &ClaimedTask) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        // One write, so that lines of several processes do not mix and a killed one leaves no half.
        file.write_all(format!("{event} {} {}\n", self.worker, task.id).as_bytes()).unwrap();
    }
}

impl TaskObserver for Journal {
    fn on(&self, event: &TaskEvent) {
        match event {
            TaskEvent::Finished { task, .. } => self.write("finished", task),
            TaskEvent::LeaseLost { task } => self.write("lost", task),
            TaskEvent::Returned { task, .. } => self.write("returned", task),
            _ => {}
        }
    }
}

impl StartGate for Journal {
    fn may_start(&self, task: &ClaimedTask) -> bool {
        self.write("claimed", task);
        loop {
            std::thread::park();
        }
    }
}

#[tokio::test]
async fn a_worker_that_nobody_kills_does_its_work() {
    if let Ok(settings) = std::env::var(SETTINGS) {
        let worker: WorkerProcess = serde_json::from_str(&settings).unwrap();
        worker.work(CancellationToken::new()).await;
        return;
    }
    let (server, folder, queue) = (RedisServer::shared().await, tempfile::tempdir().unwrap(), unique_queue());
    let worker = WorkerProcess {
        url: server.url(),
        prefix: server.unique_prefix(),
        queue: queue.to_string(),
        name: "alone".to_owned(),
        folder: folder.path().to_owned(),
        lease_ms: 10_000,
        places: 1,
        hangs_at_the_gate: false,
    };
    let service = connect(&worker.url, &worker.prefix).await;
    let queues = QueueManager::new(Arc::new(RedisQueueStore::new(service, Config::default())), Config::default());
    let task = NewTask::new(&queue, "work", "{}");
    let id = task.id;
    queues.enqueue(&queue, task).await.unwrap();
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(worker.work(shutdown.clone()));
    let done = || async { queues.status(id).await.unwrap().unwrap().state == TaskState::Completed };
    eventually(done, PATIENCE).await;
    shutdown.cancel();
    working.await.unwrap();
    let events: Vec<_> = read_journal(folder.path()).into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, ["begin", "run", "finished"]);
}
