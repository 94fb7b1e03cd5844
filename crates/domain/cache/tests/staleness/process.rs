//! A process: this test program, started again and told what to be. It is the only writer of its keys, and reads all.

use std::{
    io::Read,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, ChildStdin, Command},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use trackside_cache::{
    CacheManager, Config, Freshness, LoadOptions, Namespace, Policy, Receipt, RedisCacheStore, Tag, WriteOptions,
};
use trackside_redis::{Command as Ask, RedisService};
use trackside_testkit::eventually;

use crate::{
    BOUND, PATIENCE, PROCESSES,
    journal::{Event, now},
};

/// Where a process finds what it is to be.
const ROLE: &str = "TRACKSIDE_STALE_ROLE";
/// The test that takes a role when it finds one.
const ENTRY: &str = "no_read_of_four_processes_answers_anything_older_than_its_bound";
/// Keys that one process writes.
const OWN_KEYS: usize = 4;
const READERS: usize = 4;

/// What a process is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) index: usize,
    /// Reads and writes at least.
    pub(crate) operations: usize,
    pub(crate) url: String,
    /// Where the values come from.
    pub(crate) source: String,
    /// Where processes and test say things to each other.
    pub(crate) folder: PathBuf,
}

/// A running process, killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Apart from the child, because waiting for that would close it.
    _lifeline: Option<ChildStdin>,
}

/// What the tasks of a process share.
struct Work {
    role: Role,
    cache: CacheManager,
    pages: Namespace,
    source: RedisService,
    journal: Mutex<Vec<Event>>,
    operations: AtomicUsize,
    /// Writers that hold.
    holding: AtomicUsize,
}

// === impl Role ===

impl Role {
    pub(crate) fn of_this_process() -> Option<Self> {
        let role = std::env::var(ROLE).ok()?;
        thread::spawn(|| {
            // The end of the pipe is the end of the test.
            std::io::stdin().read_to_end(&mut Vec::new()).ok();
            std::process::exit(1);
        });
        Some(serde_json::from_str(&role).unwrap())
    }

    pub(crate) fn spawn(&self) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([ENTRY, "--exact", "--nocapture"])
            .env(ROLE, serde_json::to_string(self).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process { _lifeline: child.stdin.take(), child }
    }

    pub(crate) async fn play(self) {
        let policy = Policy { freshness: Freshness::Bounded { by: BOUND }, ttl_jitter: 0.0, ..Policy::default() };
        let (mark_every, retry) = (Duration::from_millis(50), Duration::from_millis(50));
        let config = Config { default_policy: policy, mark_every, retry, ..Config::default() };
        let store = RedisCacheStore::new(connect(&self.url).await, &config);
        let cache = CacheManager::new(Arc::new(store), config);
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let (cache, shutdown) = (cache.clone(), shutdown.clone());
            async move { cache.run(shutdown).await }
        });
        let (pages, source) = (cache.namespace("page").unwrap(), connect(&self.source).await);
        let (journal, operations, holding) = Default::default();
        let work = Arc::new(Work { role: self, cache, pages, source, journal, operations, holding });
        let mut tasks = JoinSet::new();
        for number in 0..OWN_KEYS {
            tasks.spawn(Arc::clone(&work).write(number));
        }
        for _ in 0..READERS {
            tasks.spawn(Arc::clone(&work).read());
        }
        tasks.spawn(Arc::clone(&work).watch());
        tasks.join_all().await;
        shutdown.cancel();
        running.await.unwrap();
        work.leave();
    }
}

async fn connect(url: &str) -> RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let subscription_buffer = 16_384.try_into().unwrap();
    let redis = RedisService::start(trackside_redis::Config { subscription_buffer, ..config }).unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    redis
}

fn key(process: usize, number: usize) -> String {
    format!("key-{process}-{number}")
}

// === impl Process ===

impl Process {
    /// Waits until it ends by itself; true when it ended well.
    pub(crate) async fn ended(&mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }
}

// === impl Work ===

impl Work {
    /// Whether the test said something.
    fn hears(&self, word: &str) -> bool {
        self.role.folder.join(word).exists()
    }

    fn say(&self, word: &str) {
        std::fs::write(self.role.folder.join(format!("{word}-{}", self.role.index)), "").unwrap();
    }

    fn note(&self, event: Event) {
        self.journal.lock().unwrap().push(event);
    }

    fn is_over(&self) -> bool {
        self.operations.load(Ordering::Relaxed) >= self.role.operations && self.hears("enough")
    }

    /// Numbers that grow; what is deleted or invalidated has one too.
    async fn write(self: Arc<Self>, number: usize) {
        let key = key(self.role.index, number);
        let tag: Tag = format!("tag-{key}").parse().unwrap();
        let mut has_held = false;
        for value in 1.. {
            if !has_held && self.hears("hold") {
                has_held = true;
                self.holding.fetch_add(1, Ordering::SeqCst);
                eventually(|| async { self.hears("go on") }, PATIENCE).await;
            }
            if self.is_over() {
                return;
            }
            // The source changes first; what is read after that is at least this.
            let set = Ask::new("SET").key(&key).arg(value);
            self.source.execute("test.source", set).await.unwrap();
            let tags = vec![tag.clone()];
            let (kind, receipt) = match value % 7 {
                3 => ('d', Some(self.pages.delete(&key).await.unwrap())),
                5 => {
                    self.pages.invalidate_tag(&tag).await.unwrap();
                    ('t', None)
                }
                _ => {
                    let options = WriteOptions { tags, ..WriteOptions::default() };
                    ('s', Some(self.pages.set(&key, value.to_string(), options).await.unwrap()))
                }
            };
            let is_remembered = receipt == Some(Receipt::Remembered);
            let (process, key) = (self.role.index, key.clone());
            self.note(Event::Wrote { process, key, value, kind, at: now(), is_remembered });
            self.operations.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 10)).await;
        }
    }

    /// Reads in bursts: most of what a cache answers are copies.
    async fn read(self: Arc<Self>) {
        while !self.is_over() {
            for _ in 0..40 {
                let of = rand::random::<u64>() as usize;
                let key = key(of % PROCESSES, of / PROCESSES % OWN_KEYS);
                let at = now();
                let cached = match of / 1_000 % 20 {
                    0 => self.load(&key).await,
                    _ => self.pages.get(&key).await,
                };
                self.operations.fetch_add(1, Ordering::Relaxed);
                // While the primary is away, a bounded namespace has no answer after a while.
                if let Ok(Some(value)) = cached.map(|cached| cached.and_then(|cached| cached.into_value())) {
                    let value = std::str::from_utf8(&value).unwrap().parse().unwrap();
                    self.note(Event::Read { process: self.role.index, key, value, at });
                }
            }
            tokio::time::sleep(Duration::from_millis(1 + rand::random::<u64>() % 5)).await;
        }
    }

    async fn load(&self, key: &str) -> Result<Option<trackside_cache::Cached>, trackside_cache::Error> {
        let (source, name) = (self.source.clone(), key.to_owned());
        let loader = move || async move {
            let value = source.execute("test.source", Ask::new("GET").key(&name)).await?.into_option();
            // Read at some moment of the load.
            tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 10)).await;
            Ok(value.map(trackside_redis::Reply::into_bytes).transpose()?)
        };
        let options = LoadOptions { tags: vec![format!("tag-{key}").parse().unwrap()], ttl: None };
        self.pages.get_or_load(key, options, loader).await.map(Some)
    }

    /// Notes when everything that was remembered is written, and tells the test how far this process is.
    async fn watch(self: Arc<Self>) {
        let (mut had_any, mut has_held) = (false, false);
        while !self.is_over() {
            if !has_held && self.holding.load(Ordering::SeqCst) == OWN_KEYS {
                has_held = true;
                self.say("holding");
            }
            let has_any = self.cache.remembered() > 0;
            if had_any && !has_any {
                self.note(Event::Flushed { process: self.role.index, at: now() });
                self.say("written");
            }
            had_any = has_any;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Writes down everything.
    fn leave(&self) {
        let (operations, from_copies) = (self.operations.load(Ordering::Relaxed), self.pages.stats().local_hits);
        self.note(Event::Sum { operations, from_copies: usize::try_from(from_copies).unwrap() });
        let lines = self
            .journal
            .lock()
            .unwrap()
            .iter()
            .map(|event| serde_json::to_string(event).unwrap() + "\n")
            .collect::<String>();
        std::fs::write(self.role.folder.join(format!("{}.journal", self.role.index)), lines).unwrap();
    }
}
