//! Real processes: this test binary, started again and told what to be.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
};
use trackside_cache::{LoadOptions, Policy};
use trackside_testkit::{RedisServer, eventually};

use crate::{
    kit::{SOON, bounded, config},
    redis::running,
};

/// Where a process finds what it is to be.
const ROLE: &str = "TRACKSIDE_CACHE_ROLE";
/// The test that takes a role when it finds one.
const ENTRY: &str = "processes::two_hundred_callers_in_four_processes_share_one_load";

/// What a process is: so many callers of one cold key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Callers {
    url: String,
    count: usize,
    /// So many callers there are in all processes; a loader waits until all of them have asked.
    all: usize,
    /// Where loaders leave a line each.
    journal: PathBuf,
    hangs: bool,
}

// === impl Callers ===

impl Callers {
    fn spawn(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([ENTRY, "--exact", "--nocapture"])
            .env(ROLE, serde_json::to_string(self).unwrap())
            // It ends with this pipe, so also when the test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Where callers leave a line each.
    fn asked(&self) -> PathBuf {
        self.journal.with_extension("asked")
    }

    async fn call(self) {
        // Nobody could wait for a loader that has died until its time is over: its lease has to end sooner.
        let policy = Policy { load_timeout: Duration::from_secs(600), ..bounded(Duration::from_secs(60)) };
        let running = running(&self.url, "", config(policy)).await;
        let pages = running.cache.namespace("page").unwrap();
        let mut callers = JoinSet::new();
        for _ in 0..self.count {
            let (pages, role) = (pages.clone(), self.clone());
            callers.spawn(async move {
                note(&role.asked());
                let loader = move || async move {
                    note(&role.journal);
                    if role.hangs {
                        std::future::pending::<()>().await;
                    }
                    eventually(|| async { notes(&role.asked()) == role.all }, SOON).await;
                    Ok(Some(Bytes::from_static(b"loaded")))
                };
                let cached = pages.get_or_load("cold", LoadOptions::default(), loader).await.unwrap();
                assert_eq!(cached.value().unwrap(), "loaded");
            });
        }
        callers.join_all().await;
    }
}

/// Leaves a line.
fn note(journal: &Path) {
    let mut journal = fs::OpenOptions::new().append(true).create(true).open(journal).unwrap();
    journal.write_all(b"one\n").unwrap();
}

fn notes(journal: &Path) -> usize {
    fs::read_to_string(journal).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn two_hundred_callers_in_four_processes_share_one_load() {
    if let Ok(role) = std::env::var(ROLE) {
        thread::spawn(|| {
            // The end of the pipe is the end of the test.
            std::io::stdin().read_to_end(&mut Vec::new()).ok();
            std::process::exit(1);
        });
        let role: Callers = serde_json::from_str(&role).unwrap();
        return role.call().await;
    }
    let server = RedisServer::start().await.unwrap();
    let journal = server.folder().join("journal");
    let callers = Callers { url: server.url(), count: 50, all: 200, journal: journal.clone(), hangs: false };
    let mut processes: Vec<Child> = (0..4).map(|_| callers.spawn()).collect();
    for process in &mut processes {
        // Kept open: the pipe is its lifeline.
        let lifeline = process.stdin.take();
        assert!(process.wait().await.unwrap().success());
        drop(lifeline);
    }
    assert_eq!(notes(&journal), 1);
}

#[tokio::test]
async fn when_the_loading_process_is_killed_another_one_takes_over_and_everybody_is_answered() {
    let server = RedisServer::start().await.unwrap();
    let journal = server.folder().join("journal");
    let hanging = Callers { url: server.url(), count: 1, all: 21, journal: journal.clone(), hangs: true };
    let mut loader = hanging.spawn();
    eventually(|| async { notes(&journal) == 1 }, SOON).await;
    let mut waiting = Callers { count: 20, hangs: false, ..hanging }.spawn();
    let lifeline = waiting.stdin.take();
    eventually(|| async { server.cli(&["PUBSUB", "NUMSUB", "cache_changes"]).ends_with('2') }, SOON).await;
    loader.kill().await.unwrap();
    assert!(waiting.wait().await.unwrap().success());
    drop(lifeline);
    assert_eq!(notes(&journal), 2);
}
