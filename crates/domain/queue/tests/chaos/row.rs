//! One row of the matrix: its server, its processes, its journals, and the verdict at the end.

use std::{
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use trackside_core::{KeyPrefix, QueueName, TaskId, Timestamp};
use trackside_queue::{QueueManager, QueueStats, RedisQueueStore, TaskState, TaskStatus};
use trackside_redis::RedisService;
use trackside_testkit::{RedisServer, RedisServerBuilder, eventually};

use crate::{
    journal::{Entry, Event, Journal, read},
    process::{Process, Role},
    producer::{Orders, Producer, produce},
    report::SlowScripts,
    worker::{Worker, config},
};

/// What a busy machine may need; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);
/// Short enough to wait for, and long enough for a busy machine to renew it.
pub(crate) const LEASE_MS: u64 = 2_000;
pub(crate) const PREFIX: &str = "chaos:";

/// A row while it runs.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) started: Instant,
    pub(crate) server: RedisServer,
    pub(crate) url: String,
    folder: TempDir,
    pub(crate) queue: QueueName,
    pub(crate) service: RedisService,
    pub(crate) queues: QueueManager,
    pub(crate) journal: Journal,
    /// Of servers that were killed since.
    pub(crate) slow: SlowScripts,
    /// When a server may have answered what it had not written before it was killed.
    pub(crate) unwritten: Vec<RangeInclusive<Timestamp>>,
}

/// A server as every row has it.
pub(crate) fn server() -> RedisServerBuilder {
    RedisServer::builder().option("slowlog-log-slower-than", "1000").option("slowlog-max-len", "1024")
}

/// A number for the pass that runs with the other tests, and one for `cargo xtask chaos`.
pub(crate) fn scale(short: usize, long: usize) -> usize {
    if std::env::var("TRACKSIDE_CHAOS").is_ok_and(|pass| pass == "long") { long } else { short }
}

// === impl Row ===

impl Row {
    /// A row on a server of its own, without persistence.
    pub(crate) async fn new(name: &'static str) -> Self {
        Self::on(name, server().start().await.unwrap()).await
    }

    pub(crate) async fn on(name: &'static str, server: RedisServer) -> Self {
        let url = server.url();
        Self::at(name, server, url).await
    }

    /// A row whose processes reach the server by another URL.
    pub(crate) async fn at(name: &'static str, server: RedisServer, url: String) -> Self {
        let service = RedisService::start(trackside_redis::Config {
            prefix: KeyPrefix::new(PREFIX),
            command_timeout: Duration::from_secs(5),
            ..trackside_redis::Config::new(url.parse().unwrap())
        })
        .unwrap();
        service.wait_until_connected(PATIENCE).await.unwrap();
        let store = RedisQueueStore::new(service.clone(), config(Some(LEASE_MS)));
        let folder = tempfile::tempdir().unwrap();
        Self {
            name,
            started: Instant::now(),
            server,
            url,
            queue: "matrix".parse().unwrap(),
            service,
            queues: QueueManager::new(Arc::new(store), config(Some(LEASE_MS))),
            journal: Journal::open(folder.path(), "row"),
            folder,
            slow: SlowScripts::default(),
            unwritten: Vec::new(),
        }
    }

    pub(crate) fn worker(&self, name: &str) -> Worker {
        Worker {
            url: self.url.clone(),
            prefix: PREFIX.to_owned(),
            queue: self.queue.to_string(),
            name: name.to_owned(),
            folder: self.folder(),
            lease_ms: Some(LEASE_MS),
            places: 1,
            hangs_at_the_gate: false,
            ping_ms: None,
        }
    }

    pub(crate) fn producer(&self, name: &str, orders: Orders) -> Producer {
        Producer {
            url: self.url.clone(),
            prefix: PREFIX.to_owned(),
            queue: self.queue.to_string(),
            name: name.to_owned(),
            folder: self.folder(),
            orders,
        }
    }

    /// A worker that finishes what the others left.
    pub(crate) fn finisher(&self) -> Process {
        let worker = Worker { places: 4, ..self.worker("last") };
        worker.let_go();
        Role::Work(worker).spawn()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) async fn enqueue(&self, payload: &str) -> TaskId {
        self.produce(&Orders::of(1, payload)).await[0]
    }

    pub(crate) async fn produce(&self, orders: &Orders) -> Vec<TaskId> {
        produce(&self.queues, &self.queue, &self.journal, orders).await
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        read(self.folder.path())
    }

    pub(crate) fn count(&self, event: Event) -> usize {
        self.entries().iter().filter(|entry| entry.event == event).count()
    }

    /// Waits until a process has written so.
    pub(crate) async fn written(&self, who: &str, event: Event) {
        let is_written = || async {
            let entries = self.entries();
            let found = entries.iter().any(|entry| entry.who == who && entry.event == event);
            if found { Ok(()) } else { Err(format!("no {event:?} of {who} in {entries:?}")) }
        };
        eventually(is_written, PATIENCE).await;
    }

    /// Waits until so many handlers have had their effect.
    pub(crate) async fn runs(&self, count: usize) {
        eventually(|| async { self.count(Event::Run) >= count }, PATIENCE).await;
    }

    pub(crate) async fn kill9(&self, process: Process) {
        let name = process.name.clone();
        process.kill9().await;
        self.journal.note(Event::Killed, &name);
    }

    pub(crate) async fn stats(&self) -> QueueStats {
        eventually(|| self.queues.stats(&self.queue), PATIENCE).await
    }

    pub(crate) async fn ended(&self, id: TaskId) -> TaskStatus {
        let ended = || async {
            let status = self.queues.status(id).await.map_err(|error| error.to_string())?.unwrap();
            if status.state.is_finished() { Ok(status) } else { Err(format!("{status:?}")) }
        };
        eventually(ended, PATIENCE).await
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn drained(&self) {
        let is_drained = || async {
            let stats = self.queues.stats(&self.queue).await.map_err(|error| error.to_string())?;
            let left = stats.ready.iter().sum::<u64>() + stats.active + stats.delayed + stats.parked;
            if left == 0 { Ok(()) } else { Err(format!("{stats:?}")) }
        };
        eventually(is_drained, PATIENCE).await;
    }

    /// Kills the server, after a look at its slow log.
    pub(crate) async fn kill_server(&mut self) {
        self.slow.note(&self.service).await;
        self.server.kill9();
    }

    /// Kills a server with an append-only file, and starts it on what it has on the disk.
    ///
    /// The kernel keeps what a killed process wrote. With `appendfsync everysec`, what is answered while an fsync runs is
    /// written only afterwards; so the last moment without such answers is noted.
    pub(crate) async fn restart_server(&mut self) {
        self.slow.note(&self.service).await;
        let all_written = || async {
            let asked = Timestamp::now();
            self.server.cli(&["INFO", "persistence"]).contains("aof_buffer_length:0\r\n").then_some(asked)
        };
        let asked = eventually(all_written, PATIENCE).await;
        self.server.kill9();
        self.server.restart().await.unwrap();
        // Whoever got an answer at the last moment has written it down by then.
        self.unwritten.push(asked..=Timestamp::now().plus(Duration::from_millis(500)));
    }
}

/// The state and the result of a task, as most rows compare them.
pub(crate) fn ended_by(status: &TaskStatus) -> (TaskState, Option<&str>) {
    let result = status.result.as_deref().map(|result| std::str::from_utf8(result).unwrap().trim_matches('"'));
    (status.state, result)
}
