//! Where the server program is.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// Names the program to use, before any search.
const OVERRIDE: &str = "TRACKSIDE_TEST_REDIS_SERVER";
/// In order of preference.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];
/// Looked at after the `PATH`.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/snap/bin"];

/// The server program: `TRACKSIDE_TEST_REDIS_SERVER`, or `redis-server` or `valkey-server` on the `PATH` or in the
/// usual folders.
///
/// # Errors
/// When there is none; the message holds the line to type.
pub fn find_redis_binary() -> Result<PathBuf> {
    if let Some(program) = env::var_os(OVERRIDE) {
        let program = PathBuf::from(program);
        if program.is_file() {
            return Ok(program);
        }
        bail!("{OVERRIDE} names {}, which is no file", program.display());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    match search(&path) {
        Some(program) => Ok(program),
        None => bail!(
            "neither redis-server nor valkey-server is installed. Type one of\n  \
             sudo apt-get install -y redis-server\n  sudo dnf install -y valkey\n  brew install valkey\n\
             or set {OVERRIDE} to the program"
        ),
    }
}

/// The first program of either name.
fn search(path: &OsStr) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(path).chain(FOLDERS.iter().map(PathBuf::from)).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder: &PathBuf| folder.join(name)))
        .find(|program: &PathBuf| Path::is_file(program))
}
