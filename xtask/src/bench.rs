//! `cargo xtask bench`: the criterion benches, on a real server.

use clap::Args;

use crate::command;
use crate::provide::{self, Install};
use crate::workspace::Workspace;

/// What to measure, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Few samples: shows that every bench works and the order of magnitude, not a figure to quote
    #[arg(long)]
    quick: bool,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
    /// Run only the benches whose name contains this
    filter: Option<String>,
}

/// Runs the benches of the `benches` crate; results are kept in `target/criterion`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let redis = provide::redis(workspace, Install::from_flag(options.no_install))?;
    let mut bench = command::cargo();
    bench.current_dir(workspace.root()).args(["bench", "--package", "trackside-benches", "--bench", "*", "--"]);
    redis.apply(&mut bench);
    bench.args(&options.filter);
    if options.quick {
        bench.arg("--quick");
    }
    command::run(&mut bench)
}
