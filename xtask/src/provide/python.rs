//! Python 3, with which some of the bundled tools are written.

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
