//! Programs at pinned versions, installed below the target directory with the tool of their language.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::program::Program;
use super::system::{Language, System};
use crate::command;
use crate::provide::Install;
use crate::workspace::Workspace;

/// Where what was installed last is noted, so that the next run need not ask any registry.
const STAMP: &str = "installed.txt";

/// Makes the program of `system` ready in `target`/its folder.
pub(crate) fn provide(
    workspace: &Workspace,
    target: &Path,
    system: &'static System,
    install: Install,
) -> anyhow::Result<Program> {
    let source = workspace.root().join("benches/peers").join(system.folder);
    let folder = target.join(system.folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let words = match system.language {
        Language::Ours => ours(workspace)?,
        Language::Rust => rust(&source, target, system, install)?,
        Language::Node => node(&source, &folder, install)?,
        Language::Python => python(&source, &folder, install)?,
    };
    Ok(Program::new(system, words, folder))
}

fn ours(workspace: &Workspace) -> anyhow::Result<Vec<OsString>> {
    let mut build = command::cargo();
    command::run(build.current_dir(workspace.root()).args(["build", "--release", "--package", "trackside-peer"]))?;
    Ok(vec![workspace.target().join("release/trackside-peer").into()])
}

/// All of them share a target directory, because they share most of what they depend on.
fn rust(source: &Path, target: &Path, system: &System, install: Install) -> anyhow::Result<Vec<OsString>> {
    let mut build = command::cargo();
    build.args(["build", "--release", "--locked", "--manifest-path"]).arg(source.join("Cargo.toml"));
    build.arg("--target-dir").arg(target.join("rust"));
    if install == Install::Never {
        build.arg("--offline");
    }
    command::run(&mut build)?;
    Ok(vec![target.join("rust/release").join(format!("peer-{}", system.folder)).into()])
}

/// Node looks for modules beside the program, so the program goes where they are.
fn node(source: &Path, folder: &Path, install: Install) -> anyhow::Result<Vec<OsString>> {
    let Some(node) = command::find("node", &[]) else { bail!("it needs Node.js 20 or newer: `node` is not there") };
    for file in ["package.json", "main.mjs"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    once(folder, &source.join("package.json"), install, || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]);
        command::run(npm.current_dir(folder))
    })?;
    Ok(vec![node.into(), folder.join("main.mjs").into()])
}

fn python(source: &Path, folder: &Path, install: Install) -> anyhow::Result<Vec<OsString>> {
    let python = folder.join("venv/bin/python");
    let requirements = source.join("requirements.txt");
    once(folder, &requirements, install, || {
        command::run(Command::new("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(folder))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        command::run(pip.arg(&requirements).current_dir(folder))
    })?;
    let words: [PathBuf; 2] = [python, source.join("main.py")];
    Ok(words.map(Into::into).to_vec())
}

/// Installs what `list` names, unless exactly that is installed.
fn once(
    folder: &Path,
    list: &Path,
    install: Install,
    action: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if install == Install::Never {
        bail!("not installed, and nothing is installed because of --no-install");
    }
    action()?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_installed_once_until_the_list_changes() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("requirements.txt");
        let mut runs = 0;
        for text in ["a==1\n", "a==1\n", "a==2\n"] {
            fs::write(&list, text).unwrap();
            once(folder.path(), &list, Install::Allowed, || {
                runs += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(runs, 2);
        once(folder.path(), &list, Install::Never, || bail!("must not run")).unwrap();
    }

    #[test]
    fn a_failed_installation_is_tried_again_and_none_is_tried_when_it_must_not() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("package.json");
        fs::write(&list, "{}").unwrap();
        once(folder.path(), &list, Install::Allowed, || bail!("no network")).unwrap_err();
        once(folder.path(), &list, Install::Never, || Ok(())).unwrap_err();
        once(folder.path(), &list, Install::Allowed, || Ok(())).unwrap();
    }
}
