//! Where the server program is.

use std::{
    env,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

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

/// The first number of the server's version, or `None` when there is no program and a container will do.
///
/// # Errors
/// When the program does not run or does not tell its version.
pub(super) fn server_major() -> Result<Option<u32>> {
    let Ok(program) = find_redis_binary() else { return Ok(None) };
    let output = Command::new(&program).arg("--version").output();
    let output = output.with_context(|| format!("{} does not run", program.display()))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let major = major_of(&told).with_context(|| format!("{} tells no version: {told}", program.display()))?;
    Ok(Some(major))
}

/// Whether the server was built with TLS; true as well when there is no program and a container will do.
///
/// # Errors
/// When the program does not run.
pub(super) fn server_has_tls() -> Result<bool> {
    // It reads its configuration up to the first word that it does not know, names that line and ends.
    const QUESTION: &[u8] = b"tls-port 0\ntrackside-has-asked-enough 1\n";
    let Ok(program) = find_redis_binary() else { return Ok(true) };
    let mut asked = Command::new(&program)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not run", program.display()))?;
    if let Some(mut stdin) = asked.stdin.take() {
        stdin.write_all(QUESTION).context("the server's standard input")?;
    }
    let answer = asked.wait_with_output().context("the server's answer")?;
    let told = [answer.stdout, answer.stderr].concat();
    Ok(!String::from_utf8_lossy(&told).contains("'tls-port 0'"))
}

/// From a line such as `Redis server v=6.2.14 sha=…` or `Valkey server v=8.0.1 sha=…`.
fn major_of(told: &str) -> Option<u32> {
    let (_, version) = told.split_once(" v=")?;
    version.split('.').next()?.parse().ok()
}

/// The first program of either name.
fn search(path: &OsStr) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(path).chain(FOLDERS.iter().map(PathBuf::from)).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder: &PathBuf| folder.join(name)))
        .find(|program: &PathBuf| Path::is_file(program))
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_version_is_read_from_what_each_flavour_says() {
        assert_eq!(
            major_of("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269"),
            Some(6)
        );
        assert_eq!(major_of("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), Some(7));
        assert_eq!(major_of("Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), Some(8));
        assert_eq!(major_of("no such option"), None);
    }
}
