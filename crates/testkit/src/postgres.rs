//! A PostgreSQL server of its own for a test.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::{keeper::KeptProcess, port::PortLease};

/// How long a start may take on a machine that compiles something else meanwhile.
const START: Duration = Duration::from_secs(60);
/// How long an end may take before it is forced.
const END: Duration = Duration::from_secs(5);
/// PostgreSQL refuses to run as root; the first of these that exists is used then.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A running PostgreSQL with an empty database, on 127.0.0.1; gone when dropped. It does not wait for the disk.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// let server = trackside_testkit::PostgresServer::start().await?;
/// assert!(server.url().starts_with("postgres://"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    /// Declared before the folder, so that it is dropped first.
    process: KeptProcess,
    port: PortLease,
    _folder: TempDir,
}

// === impl PostgresServer ===

impl PostgresServer {
    /// Makes a cluster in a folder of its own and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (the message holds the line to type) or does not come up (its log).
    pub async fn start() -> Result<Self> {
        spawn_blocking(Self::start_blocking).await.context("the starting thread ended")?
    }

    /// How a client reaches it, as the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port.port)
    }

    fn start_blocking() -> Result<Self> {
        let programs = find_programs()?;
        let user = if geteuid().is_root() { Some(unprivileged_user()?) } else { None };
        let folder = TempDir::with_prefix("trackside-postgres-").context("cannot make a temporary folder")?;
        let data = folder.path().join("data");
        if let Some(user) = &user {
            chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .context("cannot give the folder away")?;
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(folder.path()).env("LC_ALL", "C");
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let made = command("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--no-instructions"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .context("cannot run initdb")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let port = PortLease::take()?;
        let mut server = command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-p", &port.port.to_string()]);
        for option in ["listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off", "full_page_writes=off"] {
            server.args(["-c", option]);
        }
        let mut process = KeptProcess::spawn(server, folder.path().join("server.log"), folder.path())?;
        process.wait_for_log("database system is ready to accept connections", START)?;
        Ok(Self { process, port, _folder: folder })
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // An immediate end lets it give its shared memory back; when it does not come, the process is killed.
        self.process.end(Signal::SIGQUIT, END);
    }
}

/// The folder of `initdb` and `postgres`.
fn find_programs() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(debian_folders()).chain(pg_config_folder());
    for folder in folders {
        // A link on the PATH may be to a wrapper; the real folder holds both programs.
        let real = fs::canonicalize(folder.join("postgres")).ok().and_then(|real| real.parent().map(Path::to_owned));
        if let Some(real) = real.filter(|real| real.join("initdb").is_file()) {
            return Ok(real);
        }
    }
    bail!("PostgreSQL is not installed. Type one of\n  sudo apt-get install -y postgresql\n  brew install postgresql")
}

/// Debian keeps each version in a folder of its own, off the `PATH`; the newest first.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(OsStr::new(folder.trim())))
}

fn unprivileged_user() -> Result<User> {
    let found = USERS.iter().find_map(|name| User::from_name(name).ok().flatten());
    found.with_context(|| format!("PostgreSQL does not run as root, and there is none of the users {USERS:?}"))
}
