//! Python 3, with which some of the bundled tools are written, and packages for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::once::once;
use super::packages::{self, Install, Wanted};
use crate::command;

const WANTED: Wanted = Wanted {
    what: "Python 3",
    apt: &["python3"],
    dnf: &["python3"],
    apk: &["python3"],
    pacman: &["python"],
    brew: &["python3"],
};

/// Finds or installs it. Only the tests of the bundled tools need it, so its absence is said and not an error here.
pub(super) fn provide(install: Install) {
    let present = || command::answer("python3", &["--version"]);
    let version = present().or_else(|| packages::install(&WANTED, install).then(present).flatten());
    match version {
        Some(version) => println!("{}: {}", WANTED.what, version.trim().trim_start_matches("Python ")),
        None => println!(
            "{}: missing; the tests of the bundled tools will fail until someone types:  {}",
            WANTED.what,
            packages::line_to_type(&WANTED)
        ),
    }
}

/// Packages in an environment of their own below `folder`; answers where its programs are.
pub(crate) fn environment(folder: &Path, requirements: &Path, install: Install) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let programs = folder.join("venv/bin");
    once(folder, requirements, install, || {
        command::run(Command::new("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(folder))?;
        let mut pip = Command::new(programs.join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        command::run(pip.arg(requirements).current_dir(folder))
    })?;
    Ok(programs)
}
