//! `cargo xtask stale`: the long pass of the cache's checker.

use clap::Args;

use crate::command;
use crate::provide::{self, Install};
use crate::workspace::Workspace;

/// How long.
#[derive(Debug, Args)]
#[command(long_about = "\
Have four processes read and write a million times while their subscriptions are killed, the server is flushed, and its \
primary dies and is replaced by Sentinel; then hold every answer against all that was written.

It prints how far behind an answer was at most, and fails when that is more than the bound of the namespace. The same runs \
with fewer reads and writes in `cargo xtask test`.")]
pub(crate) struct Options {
    /// Few reads and writes, as in `cargo xtask test`
    #[arg(long)]
    quick: bool,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
}

/// Runs the checker, with what it says.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let redis = provide::redis(workspace, Install::from_flag(options.no_install))?;
    let mut checker = command::cargo();
    checker.current_dir(workspace.root()).args(["test", "--package", "trackside-cache", "--all-features"]);
    checker.args(["--test", "staleness", "--", "--nocapture"]);
    checker.env("TRACKSIDE_STALE", if options.quick { "short" } else { "long" });
    redis.apply(&mut checker);
    command::run(&mut checker)
}
