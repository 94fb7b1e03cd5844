//! `cargo xtask celery`: the Redis user for Celery, held to what real Celery needs.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::command;
use crate::peers::Server;
use crate::provide::{self, Install};
use crate::workspace::Workspace;

const USER: &str = "trackside-celery";
const PASSWORD: &str = "of-this-run";

/// What may be installed.
#[derive(Debug, Args)]
#[command(long_about = "\
Have a real Celery worker, RedBeat and a producer work on a Redis server as the user that `trackside acl print` makes for \
them (tasks, priorities, retries, chains, chords, events, remote control), and ask the server what it has refused: nothing.

Celery is installed into the target directory, at the version in xtask/celery/requirements.txt.")]
pub(crate) struct Options {
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
}

/// Fails when anything was refused.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let install = Install::from_flag(options.no_install);
    let (folder, check) = (workspace.target().join("celery"), workspace.root().join("xtask/celery"));
    let programs = provide::python_packages(&folder, &check.join("requirements.txt"), install)?;
    let redis = provide::redis(workspace, install)?;
    let Some(binary) = redis.value(provide::REDIS_VARIABLE) else {
        bail!("this needs a server program on this machine");
    };
    let mut build = command::cargo();
    command::run(build.current_dir(workspace.root()).args(["build", "--package", "trackside"]))?;
    let rules = folder.join("rules.txt");
    print_rules(&workspace.target().join("debug/trackside"), &rules)?;
    let server = Server::start(Path::new(binary))?;
    let (admin, name) = (server.url(), format!("{USER}:{PASSWORD}@"));
    let mut python = Command::new(programs.join("python"));
    python.arg(check.join("check.py")).current_dir(&check).env("PYTHONDONTWRITEBYTECODE", "1");
    python.env("CHECK_CELERY_URL", admin.replace("//", &format!("//{name}")) + "/0").env("CHECK_ADMIN_URL", admin);
    command::run(python.arg(rules))
}

fn print_rules(program: &Path, file: &Path) -> anyhow::Result<()> {
    let mut print = Command::new(program);
    print
        .args(["acl", "print", "--role", "celery", "--format", "commands"])
        .env("TRACKSIDE_ACL_PASSWORD_CELERY", PASSWORD);
    // Neither a prefix nor a file that somebody's environment names.
    print.env_remove("TRACKSIDE_CONFIG").env_remove("TRACKSIDE_REDIS__PREFIX");
    let status = print.stdout(File::create(file)?).status().context("trackside acl print")?;
    ensure!(status.success() && fs::metadata(file)?.len() > 0, "trackside acl print: {status}");
    Ok(())
}
