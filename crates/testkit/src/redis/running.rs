//! A server that runs, as a process of ours or in a container.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{
    container::{KeptContainer, Request},
    find_redis_binary,
};
use crate::keeper::KeptProcess;

/// How to start the server, again after a kill.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// The arguments after the program's name.
    pub(super) args: Vec<String>,
    /// Its folder.
    pub(super) folder: PathBuf,
}

/// Ended with `-9` when dropped.
#[derive(Debug)]
pub(super) enum Running {
    Process(KeptProcess),
    Container(KeptContainer),
}

// === impl Recipe ===

impl Recipe {
    /// Starts the server and waits for `sentence` in its log. Blocks.
    pub(super) fn start(&self, run: u32, sentence: &str, within: Duration) -> Result<Running> {
        let program = match find_redis_binary() {
            Ok(program) => program,
            Err(missing) => {
                let container = KeptContainer::start(&self.args, &self.folder, sentence, within);
                return container.map(Running::Container).context(missing);
            }
        };
        let mut command = Command::new(program);
        command.args(&self.args).current_dir(&self.folder);
        let log = self.folder.join(format!("server.{run}.log"));
        let mut process = KeptProcess::spawn(command, log, &self.folder)?;
        process.wait_for_log(sentence, within)?;
        Ok(Running::Process(process))
    }
}

// === impl Running ===

impl Running {
    pub(super) fn pause(&self) -> Result<()> {
        match self {
            Self::Process(process) => process.signal(Signal::SIGSTOP),
            Self::Container(container) => container.ask(Request::Pause),
        }
    }

    pub(super) fn resume(&self) -> Result<()> {
        match self {
            Self::Process(process) => process.signal(Signal::SIGCONT),
            Self::Container(container) => container.ask(Request::Resume),
        }
    }
}
