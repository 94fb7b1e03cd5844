//! Programs at pinned versions, installed below the target directory with the tool of their language.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::program::Program;
use super::system::{Language, System};
use crate::command;
use crate::provide::{self, Install};
use crate::workspace::Workspace;

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
    provide::once(folder, &source.join("package.json"), install, || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]);
        command::run(npm.current_dir(folder))
    })?;
    Ok(vec![node.into(), folder.join("main.mjs").into()])
}

fn python(source: &Path, folder: &Path, install: Install) -> anyhow::Result<Vec<OsString>> {
    let programs = provide::python_packages(folder, &source.join("requirements.txt"), install)?;
    Ok([programs.join("python"), source.join("main.py")].map(Into::into).to_vec())
}
