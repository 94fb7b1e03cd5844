//! `cargo xtask deny`: what the dependencies are, held to `deny.toml`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::bail;
use clap::Args;

use crate::command;
use crate::stages::Stages;
use crate::workspace::Workspace;

/// What may be installed.
#[derive(Debug, Args)]
#[command(long_about = "\
Advisories, licences, bans and sources of every dependency, as deny.toml says. cargo-deny is installed with cargo into the \
target directory when it is not there.")]
pub(crate) struct Options {
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
}

/// Runs cargo-deny.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let folder = workspace.target().join("tools/cargo-deny");
    let own = folder.join("bin/cargo-deny");
    let installed = Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let program: PathBuf = if installed.is_ok_and(|status| status.success()) {
        "cargo-deny".into()
    } else {
        if !own.is_file() {
            if options.no_install {
                bail!("cargo-deny is not installed: cargo install --locked cargo-deny");
            }
            let mut install = command::cargo();
            install.args(["install", "--locked", "cargo-deny", "--root"]).arg(&folder);
            command::run(&mut install)?;
        }
        own
    };
    let mut stages = Stages::of("deny");
    // Advisories by themselves: their database is fetched from GitHub, which not every machine may ask.
    for (name, checks) in
        [("licences, bans and sources", &["licenses", "bans", "sources"][..]), ("advisories", &["advisories"])]
    {
        stages.run(name, || {
            let mut deny = Command::new(&program);
            command::run(deny.current_dir(workspace.root()).args(["--all-features", "check"]).args(checks))
        });
    }
    stages.finish()
}
