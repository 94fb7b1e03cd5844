//! The servers, and what happens to them.

use std::{fs, time::Duration};

use trackside_testkit::{RedisSentinels, RedisServer, eventually};

use crate::{
    PATIENCE,
    journal::{Event, Outage, now},
    process::Role,
};

pub(crate) struct Bed {
    primary: RedisServer,
    replica: RedisServer,
    sentinels: RedisSentinels,
    /// Where the values come from; nothing happens to it.
    source: RedisServer,
}

// === impl Bed ===

impl Bed {
    pub(crate) async fn start() -> Self {
        let (primary, source) = (RedisServer::start().await.unwrap(), RedisServer::start().await.unwrap());
        let replica = RedisServer::builder().replica_of(&primary).start().await.unwrap();
        let sentinels = RedisSentinels::start(&primary, &replica).await.unwrap();
        Self { primary, replica, sentinels, source }
    }

    pub(crate) fn role(&self, index: usize, operations: usize) -> Role {
        let (url, source) = (self.sentinels.url(), self.source.url());
        Role { index, operations, url, source, folder: self.source.folder().to_owned() }
    }

    /// Says something to all processes.
    pub(crate) fn say(&self, word: &str) {
        fs::write(self.source.folder().join(word), "").unwrap();
    }

    /// One thing that goes wrong, and the time until the next.
    pub(crate) async fn disturb(&mut self, round: usize) {
        // What a server says while it changes its role is nobody's concern.
        let _answer = match round % 10 {
            3 => self.primary.try_cli(&["FLUSHALL"]),
            7 => self.primary.try_cli(&["SCRIPT", "FLUSH"]),
            _ => self.primary.try_cli(&["CLIENT", "KILL", "TYPE", "pubsub"]),
        };
        tokio::time::sleep(Duration::from_millis(50 + rand::random::<u64>() % 300)).await;
    }

    /// The primary dies once the replica has all that was answered: what a replica never heard of no cache can know of.
    pub(crate) async fn fail_over(&mut self, processes: usize) -> Outage {
        self.say("hold");
        let hold = |index| self.source.folder().join(format!("holding-{index}")).exists();
        eventually(|| async { (0..processes).all(hold) }, PATIENCE).await;
        let answered = offset(&self.primary);
        eventually(|| async { offset(&self.replica) >= answered }, PATIENCE).await;
        let from = now();
        self.primary.kill9();
        self.say("go on");
        let is_primary = |info: String| info.contains("role:master");
        let promoted = || async { self.replica.try_cli(&["INFO", "replication"]).is_ok_and(is_primary) };
        eventually(promoted, PATIENCE).await;
        std::mem::swap(&mut self.primary, &mut self.replica);
        let written = |index| self.source.folder().join(format!("written-{index}")).exists();
        eventually(|| async { (0..processes).all(written) }, PATIENCE).await;
        Outage { from, until: now() }
    }

    /// What all processes wrote down.
    pub(crate) fn journals(&self) -> Vec<Event> {
        let files = fs::read_dir(self.source.folder()).unwrap().map(|file| file.unwrap().path());
        let journals = files.filter(|path| path.extension().is_some_and(|extension| extension == "journal"));
        let lines = journals.flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Event>>()
        });
        lines.collect()
    }
}

fn offset(server: &RedisServer) -> u64 {
    let info = server.cli(&["INFO", "replication"]);
    let line = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
    line.unwrap().trim().parse().unwrap()
}
