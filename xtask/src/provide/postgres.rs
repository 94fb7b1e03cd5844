//! PostgreSQL's server programs, `initdb` and `postgres`; the tests make their own database clusters.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::packages::{self, Install, Wanted};
use super::{Provided, wheel};
use crate::command;
use crate::workspace::Workspace;

/// How the tests are told where the programs are; the directory is put before `PATH` as well.
const VARIABLE: &str = "TRACKSIDE_TEST_POSTGRES_BIN";
/// Both are needed, from one directory: they must be of one version.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];
/// Parents of version directories, with what stands between the version and the programs.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/libexec", ""),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];

const WANTED: Wanted = Wanted {
    what: "PostgreSQL",
    apt: &["postgresql"],
    dnf: &["postgresql-server"],
    apk: &["postgresql"],
    pacman: &["postgresql"],
    brew: &["postgresql"],
};

/// A PyPI package that carries a relocatable PostgreSQL for any glibc Linux on x86_64.
const WHEEL: wheel::Wheel = wheel::Wheel {
    package: "pgserver==0.1.4",
    sha256: "d595789b47624a3d963aa9aa6359da9be31beb7e61f1a45541953242068b8813",
    folder: "pgserver",
    programs: "pgserver/pginstall/bin",
};

/// Finds or installs them.
pub(super) fn provide(workspace: &Workspace, install: Install) -> anyhow::Result<Provided> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        if !is_complete(&named) {
            bail!("{VARIABLE} names {}, which lacks initdb or postgres", named.display());
        }
        return Ok(found(named));
    }
    if let Some(directory) = search() {
        return Ok(found(directory));
    }
    if packages::install(&WANTED, install)
        && let Some(directory) = search()
    {
        return Ok(found(directory));
    }
    match WHEEL.unpack(&workspace.tools(), install) {
        Ok(programs) if command::answer(programs.join("initdb"), &["--version"]).is_some() => {
            return Ok(found(programs));
        }
        Ok(programs) => println!("{}: {} does not run on this machine", WANTED.what, programs.display()),
        Err(error) => println!("{}: no download either: {error:#}", WANTED.what),
    }
    bail!("the tests of the job history need PostgreSQL; please type:  {}", packages::line_to_type(&WANTED))
}

fn found(directory: PathBuf) -> Provided {
    println!("{}: {}", WANTED.what, directory.display());
    let mut provided = Provided::variable(VARIABLE, directory.clone());
    provided.directories.push(directory);
    provided
}

/// `PATH` first, then the newest of the usual directories.
fn search() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).find(|directory| is_complete(directory)).or_else(|| {
        let mut candidates: Vec<_> =
            VERSIONED.iter().flat_map(|(parent, inner)| versions(Path::new(parent), inner)).collect();
        candidates.sort();
        candidates.pop().map(|(_, directory)| directory)
    })
}

/// The directories below `parent` that hold the programs, each with its version.
fn versions(parent: &Path, inner: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| (version_of(&entry.file_name().to_string_lossy()), entry.path().join(inner)))
        .filter(|(_, directory)| is_complete(directory))
        .collect()
}

/// The number in `15`, `pgsql-16` or `postgresql@17`; 0 when there is none.
fn version_of(name: &str) -> u32 {
    name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

fn is_complete(directory: &Path) -> bool {
    PROGRAMS.iter().all(|program| command::is_executable(&directory.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_names_of_directories() {
        assert_eq!(version_of("15"), 15);
        assert_eq!(version_of("pgsql-16"), 16);
        assert_eq!(version_of("postgresql@17"), 17);
        assert_eq!(version_of("postgresql"), 0);
    }

    #[test]
    fn a_directory_with_only_one_of_the_programs_does_not_count() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        for (version, programs) in [("15", &PROGRAMS[..]), ("16", &PROGRAMS[..1])] {
            let bin = parent.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in programs {
                std::fs::write(bin.join(program), "").unwrap();
                std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        assert_eq!(versions(parent.path(), "bin"), [(15, parent.path().join("15/bin"))]);
    }
}
