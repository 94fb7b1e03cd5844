//! The process group of a run, and its keeper.
//!
//! The group is led by a keeper, a few lines of `sh` that hold the group's id and wait for the end of their standard
//! input. The other end of that pipe is in this process and nowhere else, so it ends when this process does, however
//! that happens; the keeper then stops its whole group, itself included. `PR_SET_PDEATHSIG` would do without a second
//! process, but it needs `unsafe`, exists on Linux only, reaches the tool and none of its children, and fires when
//! the *thread* that started the tool ends, which on a runtime's thread pool is any time.
//!
//! The leader stays unreaped until the group has been killed, so the group's id cannot have become another's.
//! A process that leaves the group (`setsid`) is found by its environment, see `leftovers.rs`; if this process is
//! killed before it could look, such a process lives until the job is run again on this machine.

use std::{io, process::Stdio, time::Duration};

use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use crate::SearchPath;

const KEEPER: &str = "trap '' TERM INT HUP; while read -r _; do :; done; kill -TERM 0; sleep \"$1\"; kill -KILL 0";

/// A process group; killed when it is dropped.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    /// The leader. It holds the write end of its standard input.
    keeper: Child,
    id: i32,
    killed: bool,
}

// === impl ProcessGroup ===

impl ProcessGroup {
    /// Starts the keeper; processes join with `Command::process_group(self.id())`.
    pub(super) fn start(grace: Duration, search_path: &SearchPath) -> io::Result<Self> {
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "trackside-keeper"])
            .arg(grace.as_secs().max(1).to_string())
            .env_clear()
            .env("PATH", search_path.as_os_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let id = keeper.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("the keeper ended at once"))?;
        Ok(Self { keeper, id, killed: false })
    }

    pub(super) const fn id(&self) -> i32 {
        self.id
    }

    /// Asks every process of the group to end. The keeper does not listen.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends every process of the group, the keeper included, and reaps the keeper.
    pub(super) async fn kill(&mut self) {
        if !self.killed {
            self.signal(Signal::SIGKILL);
            self.killed = true;
            if let Err(error) = self.keeper.wait().await {
                tracing::warn!(process.group = self.id, %error, "cannot reap the keeper of a process group");
            }
        }
    }

    fn signal(&self, signal: Signal) {
        match killpg(Pid::from_raw(self.id), signal) {
            // ESRCH: nobody is left, which is what is wanted.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::warn!(process.group = self.id, %signal, %error, "cannot signal a process group"),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The runtime reaps what it started once it is dropped and dead.
        if !self.killed {
            self.signal(Signal::SIGKILL);
        }
    }
}
