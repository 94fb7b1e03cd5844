//! Installing packages of Debian without starting what they install.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::command;

/// Asked by every Debian package before it starts a service; 101 means "not allowed".
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Read by the packages of PostgreSQL before they make the cluster `main`.
const CLUSTER: &str = "/etc/postgresql-common/createcluster.d/trackside-test.conf";
/// The services of the packages above.
const UNITS: [&str; 3] = ["redis-server.service", "valkey-server.service", "postgresql.service"];

/// While it lives, packages of Debian start no service and make no database cluster when they are installed; what
/// systemd would start at the next boot because of them is disabled at the end.
pub(super) struct NoServices {
    /// The files made here, removed again on drop.
    made: Vec<PathBuf>,
    /// Services that started at boot already.
    enabled_before: Vec<&'static str>,
}

// === impl NoServices ===

impl NoServices {
    pub(super) fn set() -> anyhow::Result<Self> {
        let mut set = Self { made: Vec::new(), enabled_before: enabled_units().collect() };
        let mark = "# Made by `cargo xtask test` while it installs; safe to delete.";
        let policy = format!("#!/bin/sh\n{mark}\nexit 101\n");
        let cluster = format!("{mark}\ncreate_main_cluster = false\n");
        for (path, text) in [(POLICY, policy), (CLUSTER, cluster)] {
            if make(Path::new(path), &text)? {
                set.made.push(path.into());
            }
        }
        Ok(set)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        for path in &self.made {
            if let Err(error) = std::fs::remove_file(path) {
                println!("cannot remove {}: {error}; please do", path.display());
            }
        }
        for unit in enabled_units().filter(|unit| !self.enabled_before.contains(unit)) {
            if let Err(error) = command::run(Command::new("systemctl").args(["disable", unit])) {
                println!("{error:#}; {unit} starts at the next boot");
            }
        }
    }
}

/// Writes an executable file, unless the administrator has one there; answers whether it did.
fn make(path: &Path, text: &str) -> anyhow::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    if path.exists() {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(true)
}

/// Those of [`UNITS`] that systemd starts at boot; none where there is no systemd.
fn enabled_units() -> impl Iterator<Item = &'static str> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    UNITS.into_iter().filter(move |unit| systemd && command::answer("systemctl", &["is-enabled", unit]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_administrator_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (theirs, ours) = (directory.path().join("theirs"), directory.path().join("folder/ours"));
        std::fs::write(&theirs, "theirs").unwrap();
        assert!(!make(&theirs, "ours").unwrap());
        assert!(make(&ours, "ours").unwrap());
        assert!(command::is_executable(&ours));
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    }
}
