//! Child servers that never outlive the test, even a test that is killed.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Waits for the end of its standard input, that is of the test process, then kills the server and removes its folder.
const SCRIPT: &str = r#"cat >/dev/null; [ -z "$2" ] || kill -9 "$2" 2>/dev/null; rm -rf "$1""#;

/// Cleans up after a test process that ends without doing so, even one that is killed.
#[derive(Debug)]
pub(crate) struct Keeper(Child);

/// A server process with its log; killed with `-9` when dropped or when the test process ends.
#[derive(Debug)]
pub(crate) struct KeptProcess {
    /// Dropped before the child is reaped: afterwards its process id may belong to somebody else.
    keeper: Option<Keeper>,
    child: Child,
    log: PathBuf,
}

// === impl Keeper ===

impl Keeper {
    /// Looks after a folder, and the process that uses it when it is one of ours.
    pub(crate) fn watch(folder: &Path, process: Option<u32>) -> Result<Self> {
        Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(folder)
            .arg(process.map(|id| id.to_string()).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the test; this one must outlive it.
            .process_group(0)
            .spawn()
            .map(Self)
            .context("cannot start sh, which cleans up after a killed test")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Errors mean "has ended already", which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl KeptProcess ===

impl KeptProcess {
    /// Starts `command` with its output in `log`. `folder` is removed if the test process dies without cleaning up.
    pub(crate) fn spawn(mut command: Command, log: PathBuf, folder: &Path) -> Result<Self> {
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // An own process group: Ctrl-C ends the test, and the keeper ends the server.
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let keeper = Keeper::watch(folder, Some(child.id()));
        match keeper {
            Ok(keeper) => Ok(Self { keeper: Some(keeper), child, log }),
            Err(error) => {
                let mut child = child;
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Waits until the log holds `sentence`; an error with the log when the process ends first or takes too long.
    pub(crate) fn wait_for_log(&mut self, sentence: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let log = String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned();
            if log.contains(sentence) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{log}");
            }
            if Instant::now() > deadline {
                bail!("no {sentence:?} within {within:?}:\n{log}");
            }
            thread::park_timeout(Duration::from_millis(3));
        }
    }

    /// Sends a signal to the server.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal).with_context(|| format!("cannot send {signal}"))
    }

    /// Asks the server to end and waits for it; true when it did within that time.
    pub(crate) fn end(&mut self, signal: Signal, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        if self.signal(signal).is_err() {
            return true;
        }
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::park_timeout(Duration::from_millis(3));
        }
        false
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }
}

impl Drop for KeptProcess {
    fn drop(&mut self) {
        drop(self.keeper.take());
        // Errors mean "has ended already", which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
