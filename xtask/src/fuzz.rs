//! `cargo xtask fuzz`: hostile requests, for as long as one likes.

use clap::Args;

use crate::command;
use crate::workspace::Workspace;

/// How many.
#[derive(Debug, Args)]
#[command(long_about = "\
Ask every operation of the API description with hostile names, parameters, headers and bodies, in one process with stores \
in memory: the service answers each, and none with a 5xx. What fails is shrunk, printed, and kept in \
`proptest-regressions`, from where every later run of the tests tries it first.")]
pub(crate) struct Options {
    /// Requests
    #[arg(long, default_value_t = 1_000_000)]
    cases: u32,
}

/// Runs the tests named `hostile`, in an optimised build.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut test = command::cargo();
    test.current_dir(workspace.root()).env("PROPTEST_CASES", options.cases.to_string());
    test.args(["test", "--release", "--package", "trackside-api", "--test", "it", "--", "hostile", "--nocapture"]);
    command::run(&mut test)
}
