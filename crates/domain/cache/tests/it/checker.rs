//! Mixed reads and writes of several processes while subscriptions are killed, messages get lost and the server forgets
//! everything: no read answers a value older than the bound of its namespace.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use trackside_cache::{Invalidated, LoadOptions, Namespace, Receipt, Tag, WriteOptions};
use trackside_testkit::RedisServer;

use crate::{
    kit::{Running, bounded, config},
    redis::running,
};

const PROCESSES: usize = 3;
const KEYS: usize = 6;
/// How far behind an answer may be.
const BOUND: Duration = Duration::from_millis(600);
/// How long the short pass takes.
const PASS: Duration = Duration::from_secs(6);

/// The truth: what the last write of each key was, and when it was answered.
#[derive(Default)]
struct Truth {
    /// The value, and when everybody had to know it.
    written: Mutex<HashMap<String, Vec<(u64, Instant)>>>,
    reads: AtomicU64,
    hits: AtomicU64,
    over: AtomicBool,
}

// === impl Truth ===

impl Truth {
    fn wrote(&self, key: &str, value: u64) {
        self.written.lock().unwrap().entry(key.to_owned()).or_default().push((value, Instant::now()));
    }

    /// Checks an answer to a question of that time.
    fn check(&self, key: &str, value: u64, asked: Instant) {
        let written = self.written.lock().unwrap();
        let known = written.get(key).into_iter().flatten();
        let oldest_allowed =
            known.filter(|(_, at)| asked.saturating_duration_since(*at) > BOUND).map(|(value, _)| *value);
        if let Some(oldest) = oldest_allowed.max() {
            assert!(value >= oldest, "{key}: {value} was read {BOUND:?} after {oldest} had been written");
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.over.load(Ordering::Relaxed)
    }
}

fn number(cached: &trackside_cache::Cached) -> u64 {
    std::str::from_utf8(cached.value().unwrap()).unwrap().parse().unwrap()
}

/// The only writer of a key: numbers that grow, also by what is deleted and invalidated in between. A quiet one writes
/// seldom, just when subscriptions are gone, so that nothing else tells of the change.
async fn write(truth: Arc<Truth>, pages: Namespace, key: String, quiet: Option<Arc<RedisServer>>) {
    let tag: Tag = format!("tag-{key}").parse().unwrap();
    for value in 1.. {
        if truth.is_over() {
            return;
        }
        if let Some(server) = &quiet {
            tokio::time::sleep(BOUND + BOUND / 2).await;
            server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        match value % 7 {
            // The source changes first; what is read after that is at least this.
            3 => drop(pages.delete(&key).await.unwrap()),
            5 => assert_eq!(pages.invalidate_tag(&tag).await.unwrap(), Invalidated::Everywhere),
            _ => {
                let options = WriteOptions { tags: vec![tag.clone()], ..WriteOptions::default() };
                let receipt = pages.set(&key, value.to_string(), options).await.unwrap();
                assert!(matches!(receipt, Receipt::Written { .. }), "the server is there all the time");
            }
        }
        truth.wrote(&key, value);
        tokio::time::sleep(Duration::from_millis(rand_below(15))).await;
    }
}

async fn read(truth: Arc<Truth>, pages: Namespace, seed: usize) {
    for round in seed.. {
        if truth.is_over() {
            return;
        }
        let key = format!("key-{}", round % KEYS);
        let asked = Instant::now();
        let cached = if round % 5 == 0 {
            // The source has what was written last, and is read at some moment of the load.
            let loader = {
                let (truth, key) = (truth.clone(), key.clone());
                move || async move {
                    let newest = || {
                        let written = truth.written.lock().unwrap();
                        written.get(&key).and_then(|all| all.last()).map_or(0, |(value, _)| *value)
                    };
                    let value = newest();
                    tokio::time::sleep(Duration::from_millis(rand_below(10))).await;
                    Ok(Some(value.to_string().into()))
                }
            };
            let options = LoadOptions { tags: vec![format!("tag-{key}").parse().unwrap()], ttl: None };
            Some(pages.get_or_load(&key, options, loader).await.unwrap())
        } else {
            pages.get(&key).await.unwrap()
        };
        if let Some(cached) = cached {
            truth.check(&key, number(&cached), asked);
        }
        tokio::time::sleep(Duration::from_millis(rand_below(3))).await;
    }
}

/// What goes wrong with the server, one thing after the other.
async fn disturb(truth: Arc<Truth>, server: Arc<RedisServer>) {
    for round in 0.. {
        if truth.is_over() {
            return;
        }
        match round % 8 {
            0 => drop(server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"])),
            4 => drop(server.cli(&["FLUSHALL"])),
            _ => drop(server.cli(&["SCRIPT", "FLUSH"])),
        }
        tokio::time::sleep(Duration::from_millis(60 + rand_below(200))).await;
    }
}

fn rand_below(limit: u64) -> u64 {
    rand::random::<u64>() % limit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_answers_anything_older_than_its_bound() {
    let server = Arc::new(RedisServer::start().await.unwrap());
    let mut processes: Vec<Running> = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(running(&server.url(), "", config(bounded(BOUND))).await);
    }
    let pages: Vec<Namespace> = processes.iter().map(|process| process.cache.namespace("page").unwrap()).collect();
    let (truth, mut work) = (Arc::new(Truth::default()), JoinSet::new());
    for key in 0..KEYS {
        let quiet = (key % 2 == 1).then(|| server.clone());
        work.spawn(write(truth.clone(), pages[key % PROCESSES].clone(), format!("key-{key}"), quiet));
    }
    for reader in 0..PROCESSES * 2 {
        work.spawn(read(truth.clone(), pages[reader % PROCESSES].clone(), reader * 7));
    }
    work.spawn(disturb(truth.clone(), server.clone()));
    let pass = tokio::time::sleep(PASS);
    tokio::pin!(pass);
    tokio::select! {
        () = &mut pass => {}
        // A reader that found something old ends first.
        ended = work.join_next() => ended.unwrap().unwrap(),
    }
    truth.over.store(true, Ordering::Relaxed);
    while let Some(ended) = work.join_next().await {
        ended.unwrap();
    }
    let local: u64 = pages.iter().map(|pages| pages.stats().local_hits).sum();
    let hits = truth.hits.load(Ordering::Relaxed);
    assert!(hits > 200 && local > 20, "{hits} answers, {local} of them from copies: nothing was put to the test");
}
