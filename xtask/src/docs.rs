//! `cargo xtask docs`: the API documentation of every crate of this workspace.

use clap::Args;

use crate::command;
use crate::workspace::Workspace;

/// What to do with the result.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Open it in the browser
    #[arg(long)]
    open: bool,
}

/// Builds the documentation into `target/doc`; a warning is an error.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut docs = command::cargo();
    // Examples count as targets that need dev-dependencies: dependencies then have the same features as under clippy
    // and the tests, and are not built once more.
    docs.current_dir(workspace.root()).args([
        "doc",
        "--workspace",
        "--no-deps",
        "--all-features",
        "--lib",
        "--bins",
        "--examples",
    ]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    if options.open {
        docs.arg("--open");
    }
    command::run(&mut docs)
}
