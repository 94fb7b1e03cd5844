//! `cargo xtask test`: everything the tests need, then every test.

use std::process::Command;

use clap::Args;

use crate::command;
use crate::provide::{self, Install, Provided};
use crate::stages::Stages;
use crate::workspace::Workspace;

/// Which tests.
#[derive(Debug, Args)]
#[command(long_about = "\
Find or install what the tests need, then run every test of the workspace.

The tests run against a real Redis or Valkey server and a real PostgreSQL server, which they start and stop themselves \
on free ports. This task looks for the server programs; what is missing is installed with the system's package \
manager (as root, or by Homebrew), or else downloaded into target/tools. It stops with the line to type when neither \
is possible. No service is left running.

  TRACKSIDE_TEST_REDIS_SERVER   the redis-server or valkey-server program to use
  TRACKSIDE_TEST_POSTGRES_BIN   the directory with initdb and postgres to use")]
pub(crate) struct Options {
    /// Only the tests of this crate; may be repeated
    #[arg(short, long, value_name = "CRATE")]
    package: Vec<String>,
    /// Use what is installed; never install or download anything
    #[arg(long)]
    no_install: bool,
    /// Run only the tests whose name contains this
    filter: Option<String>,
}

/// Documentation tests first, so that the last lines are the closing lines of the runner of all the others.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut stages = Stages::of("test");
    let install = Install::from_flag(options.no_install);
    let mut provided = Provided::default();
    stages.run("what the tests need", || {
        provided = provide::all(workspace, install)?;
        Ok(())
    });
    if stages.failed() {
        return stages.finish();
    }
    // Cargo refuses to test the documentation of a program.
    if options.package.iter().all(|package| workspace.is_library(package)) {
        stages.run("documentation tests", || {
            let mut doc = cargo_test(workspace, options, &provided, &["test", "--doc", "--no-fail-fast"]);
            doc.args(&options.filter);
            command::run(&mut doc)
        });
    }
    let runner: &[&str] = if has_nextest() { &["nextest", "run"] } else { &["test"] };
    stages.run("unit and integration tests", || {
        let mut tests = cargo_test(workspace, options, &provided, runner);
        tests.arg("--no-fail-fast");
        if !has_nextest() {
            // Without these, `cargo test` would run the documentation tests again.
            tests.args(["--lib", "--bins", "--tests", "--examples"]);
        } else if options.filter.is_some() {
            // What was looked for may be a documentation test.
            tests.arg("--no-tests=warn");
        }
        tests.args(&options.filter);
        command::run(&mut tests)
    });
    stages.finish()
}

/// A test command of cargo for the chosen crates, with what was found for them.
///
/// Always all features: one set of features means that clippy, the documentation and the tests share their builds.
fn cargo_test(workspace: &Workspace, options: &Options, provided: &Provided, subcommand: &[&str]) -> Command {
    let mut command = command::cargo();
    command.current_dir(workspace.root()).args(subcommand).arg("--all-features");
    if options.package.is_empty() {
        command.arg("--workspace");
    }
    for package in &options.package {
        command.args(["--package", package]);
    }
    provided.apply(&mut command);
    command
}

fn has_nextest() -> bool {
    command::answer("cargo-nextest", &["nextest", "--version"]).is_some()
}
