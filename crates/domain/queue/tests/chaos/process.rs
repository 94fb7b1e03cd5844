//! Processes that can be killed: this test binary, started again and told what to be.

use std::{io::Read, path::Path, process::Stdio, thread};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, ChildStdin, Command};

use crate::{
    chains,
    producer::{Orders, Producer},
    row::Row,
    verdict::Expected,
    worker::{QUICK, Worker},
};

/// Where a process finds what it is to be.
const ROLE: &str = "TRACKSIDE_CHAOS_ROLE";
/// The test that takes a role when it finds one.
const ENTRY: &str = "process::a_process_with_a_role_plays_it";

/// What a process is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Role {
    Work(Worker),
    /// Works on chains over two queues.
    Link(Worker),
    Produce(Producer),
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    /// Apart from the child, because waiting for that would close it.
    _lifeline: Option<ChildStdin>,
}

// === impl Role ===

impl Role {
    pub(crate) fn spawn(&self) -> Process {
        self.spawn_with(&std::env::current_exe().unwrap(), &[])
    }

    /// Another build of this binary, or another environment.
    pub(crate) fn spawn_with(&self, program: &Path, environment: &[(&str, String)]) -> Process {
        let name = match self {
            Self::Work(worker) | Self::Link(worker) => &worker.name,
            Self::Produce(producer) => &producer.name,
        };
        let mut child = Command::new(program)
            .args([ENTRY, "--exact", "--nocapture"])
            .env(ROLE, serde_json::to_string(self).unwrap())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            // It ends with this pipe, so also when the test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process { name: name.clone(), _lifeline: child.stdin.take(), child }
    }
}

// === impl Process ===

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until it ends by itself; true when it ended well.
    pub(crate) async fn ended(&mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }

    pub(crate) async fn kill9(mut self) {
        self.child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_with_a_role_plays_it() {
    let Ok(role) = std::env::var(ROLE) else {
        let row = Row::new("an undisturbed row").await;
        let mut producer = Role::Produce(row.producer("one", Orders::of(20, QUICK))).spawn();
        let mut worker = Role::Work(row.worker("two")).spawn();
        assert!(producer.ended().await);
        row.drained().await;
        worker.signal(Signal::SIGTERM);
        assert!(worker.ended().await);
        let sum = row.finish(Expected::default()).await;
        assert_eq!((sum.acknowledged, sum.duplicated), (20, 0));
        return;
    };
    thread::spawn(|| {
        // The end of the pipe is the end of the test.
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(1);
    });
    match serde_json::from_str(&role).unwrap() {
        Role::Work(worker) => worker.work().await,
        Role::Link(worker) => chains::work(worker).await,
        Role::Produce(producer) => producer.produce().await,
    }
}
