//! Worker processes that are killed, frozen and crash, on a real Redis: nothing is lost, and nothing runs twice except
//! what was held.

use std::{collections::HashMap, sync::Arc, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::process::Child;
use trackside_core::{QueueName, TaskId};
use trackside_queue::{NewTask, QueueManager, RedisQueueStore, TaskState, TaskStatus};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::{
    crash_worker::{Entry, WorkerProcess, config, read_journal},
    names::unique_queue,
    redis_kit::connect,
};

/// Short enough to wait for, and long enough for a busy machine to renew it.
const LEASE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    server: &'static RedisServer,
    folder: TempDir,
    queue: QueueName,
    prefix: String,
    queues: QueueManager,
}

impl Scene {
    async fn new() -> Self {
        let server = RedisServer::shared().await;
        let prefix = server.unique_prefix();
        let service = connect(&server.url(), &prefix).await;
        let store = RedisQueueStore::new(service, config(LEASE));
        let queues = QueueManager::new(Arc::new(store), config(LEASE));
        Self { server, folder: tempfile::tempdir().unwrap(), queue: unique_queue(), prefix, queues }
    }

    fn worker(&self, name: &str) -> WorkerProcess {
        WorkerProcess {
            url: self.server.url(),
            prefix: self.prefix.clone(),
            queue: self.queue.to_string(),
            name: name.to_owned(),
            folder: self.folder.path().to_owned(),
            lease_ms: LEASE.as_millis().try_into().unwrap(),
            places: 1,
            hangs_at_the_gate: false,
        }
    }

    async fn enqueue(&self, payload: &'static str) -> TaskId {
        let task = NewTask::new(&self.queue, "work", payload);
        let id = task.id;
        self.queues.enqueue(&self.queue, task).await.unwrap();
        id
    }

    fn journal(&self) -> Vec<Entry> {
        read_journal(self.folder.path())
    }

    fn count(&self, event: &str) -> usize {
        self.journal().iter().filter(|entry| entry.event == event).count()
    }

    /// Waits until a worker has written so.
    async fn written(&self, worker: &str, event: &str) {
        let is_written = || async {
            let journal = self.journal();
            let found = journal.iter().any(|entry| entry.worker == worker && entry.event == event);
            if found { Ok(()) } else { Err(format!("no {event:?} of {worker} in {journal:?}")) }
        };
        eventually(is_written, PATIENCE).await;
    }

    async fn ended(&self, id: TaskId) -> TaskStatus {
        let ended = || async {
            let status = self.queues.status(id).await.unwrap().unwrap();
            if status.state.is_finished() { Ok(status) } else { Err(format!("{status:?}")) }
        };
        eventually(ended, PATIENCE).await
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), signal).unwrap();
}

async fn kill9(mut child: Child) {
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_worker_killed_before_the_handler_starts_loses_nothing() {
    let scene = Scene::new().await;
    let id = scene.enqueue("{}").await;
    let first = WorkerProcess { hangs_at_the_gate: true, ..scene.worker("first") }.spawn();
    scene.written("first", "claimed").await;
    kill9(first).await;
    let _second = scene.worker("second").spawn();
    let status = scene.ended(id).await;
    assert_eq!((status.state, status.result.as_deref()), (TaskState::Completed, Some(b"\"second\"".as_slice())));
    assert_eq!(scene.count("run"), 1);
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_task_has_it_run_again() {
    let scene = Scene::new().await;
    let id = scene.enqueue("\"wait\"").await;
    let first = scene.worker("first").spawn();
    scene.written("first", "begin").await;
    kill9(first).await;
    let second = scene.worker("second");
    second.let_go();
    let _second = second.spawn();
    let status = scene.ended(id).await;
    assert_eq!((status.state, status.result.as_deref()), (TaskState::Completed, Some(b"\"second\"".as_slice())));
    assert_eq!((scene.count("begin"), scene.count("run")), (2, 1));
    assert_eq!(status.attempts, 1, "a crash is no failed attempt");
}

#[tokio::test]
async fn a_worker_killed_between_the_handler_and_the_acknowledgement_has_the_task_run_again() {
    let scene = Scene::new().await;
    let proxy = FaultProxy::start(scene.server.port()).await.unwrap();
    let id = scene.enqueue("\"wait\"").await;
    let first = WorkerProcess { url: format!("redis://127.0.0.1:{}", proxy.port()), ..scene.worker("first") };
    let child = first.spawn();
    scene.written("first", "begin").await;
    proxy.cut();
    first.let_go();
    scene.written("first", "run").await;
    kill9(child).await;
    let second = scene.worker("second");
    second.let_go();
    let _second = second.spawn();
    let status = scene.ended(id).await;
    assert_eq!((status.state, status.result.as_deref()), (TaskState::Completed, Some(b"\"second\"".as_slice())));
    assert_eq!(scene.count("run"), 2, "what it did could not be recorded");
}

#[tokio::test]
async fn workers_killed_at_any_moment_lose_nothing_and_repeat_only_what_they_held() {
    const TASKS: usize = 300;
    const PLACES: usize = 4;
    const KILLS: usize = 3;
    let scene = Scene::new().await;
    let tasks: Vec<_> = (0..TASKS).map(|_| NewTask::new(&scene.queue, "work", "{}")).collect();
    scene.queues.enqueue_many(&scene.queue, tasks.clone()).await.unwrap();
    for kill in 0..KILLS {
        let worker = WorkerProcess { places: PLACES, ..scene.worker(&format!("w{kill}")) };
        let (child, before) = (worker.spawn(), scene.count("run"));
        eventually(|| async { scene.count("run") >= before + 30 + kill }, PATIENCE).await;
        kill9(child).await;
    }
    let _last = WorkerProcess { places: PLACES, ..scene.worker("last") }.spawn();
    for task in &tasks {
        assert_eq!(scene.ended(task.id).await.state, TaskState::Completed);
    }
    let mut runs: HashMap<String, usize> = HashMap::new();
    for entry in scene.journal().into_iter().filter(|entry| entry.event == "run") {
        *runs.entry(entry.task).or_default() += 1;
    }
    let lost = tasks.iter().filter(|task| !runs.contains_key(&task.id.to_string())).count();
    let repeated = runs.values().sum::<usize>() - runs.len();
    let unexpected = runs.len() + lost - TASKS;
    let allowed = KILLS * PLACES + scene.count("lost") + scene.count("returned");
    assert_eq!((lost, unexpected), (0, 0), "{repeated} repeated");
    assert!(repeated <= allowed, "{repeated} runs too many, and only {allowed} places were killed");
    let stats = scene.queues.stats(&scene.queue).await.unwrap();
    assert_eq!((stats.created, stats.completed), (TASKS as u64, TASKS as u64), "each counts once");
    assert_eq!((stats.active, stats.dead, stats.ready), (0, 0, [0; 4]));
}

#[tokio::test]
async fn a_task_that_kills_its_workers_goes_to_the_dead_letters_and_the_others_go_on() {
    let scene = Scene::new().await;
    let (poison, healthy) = (scene.enqueue("\"abort\"").await, scene.enqueue("{}").await);
    let mut worker = scene.worker("w").spawn();
    let ended = async {
        // What a supervisor does.
        loop {
            worker.wait().await.unwrap();
            worker = scene.worker("w").spawn();
        }
    };
    let status = tokio::select! { () = ended => unreachable!(), status = scene.ended(poison) => status };
    assert_eq!(status.state, TaskState::Dead);
    assert!(status.error.as_deref().unwrap().contains("crash loop"), "{:?}", status.error);
    assert_eq!(scene.ended(healthy).await.state, TaskState::Completed);
    let tries = scene.journal().iter().filter(|entry| entry.task == poison.to_string()).count();
    assert_eq!(tries, 3, "as often as a task may crash");
    let letters = scene.queues.dead_letters(&scene.queue, None, 10).await.unwrap();
    assert_eq!((letters[0].crashes, &*letters[0].payload), (3, b"\"abort\"".as_slice()));
}

#[tokio::test]
async fn a_worker_frozen_for_longer_than_its_lease_is_refused_when_it_wakes() {
    let scene = Scene::new().await;
    let id = scene.enqueue("\"wait\"").await;
    let (first, second) = (scene.worker("first"), scene.worker("second"));
    let frozen = first.spawn();
    scene.written("first", "begin").await;
    signal(&frozen, Signal::SIGSTOP);
    let _second = second.spawn();
    scene.written("second", "begin").await;
    second.let_go();
    let status = scene.ended(id).await;
    first.let_go();
    signal(&frozen, Signal::SIGCONT);
    scene.written("first", "lost").await;
    assert_eq!(status.result.as_deref(), Some(b"\"second\"".as_slice()));
    assert_eq!(scene.ended(id).await, status, "nothing of the late worker is recorded");
}
