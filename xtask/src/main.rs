//! Tasks of this repository, the same on a laptop and in continuous integration.
//!
//! `cargo xtask <task> --help` explains each one. A task prints every command it runs, reads nothing from standard
//! input, and exits non-zero when any of its stages failed.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "standard output is how a task reports")]

mod bench;
mod celery;
mod chaos;
mod command;
mod deny;
mod docs;
mod fuzz;
mod lint;
mod peers;
mod provide;
mod schemathesis;
mod stages;
mod stale;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tasks of the Trackside repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Find or install what the tests need, then run every test of the workspace
    Test(test::Options),
    /// Formatting, clippy, rustdoc, crates without Redis, and this repository's own rules
    Lint(lint::Options),
    /// Run the criterion benches
    Bench(bench::Options),
    /// Measure other task queues, or caches, beside this one, in one run
    Peers(peers::Options),
    /// Run the crash matrix: processes and servers killed, frozen, cut off and filled up
    Chaos(chaos::Options),
    /// Hold the cache to its bounds: a million reads and writes of four processes, with failures in between
    Stale(stale::Options),
    /// Hold the service to its OpenAPI document: no 5xx, nothing that is not documented
    Schemathesis(schemathesis::Options),
    /// Hold the Redis user for Celery to what a real worker, beat and producer need
    Celery(celery::Options),
    /// Feed every reader of outside bytes and the service with hostile things, a million times each or more
    Fuzz(fuzz::Options),
    /// Hold the dependencies to deny.toml: advisories, licences, bans and sources
    Deny(deny::Options),
    /// Build the API documentation of every crate
    Docs(docs::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::load().and_then(|workspace| match arguments.task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Lint(options) => lint::run(&workspace, &options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Peers(options) => peers::run(&workspace, &options),
        Task::Chaos(options) => chaos::run(&workspace, &options),
        Task::Stale(options) => stale::run(&workspace, &options),
        Task::Schemathesis(options) => schemathesis::run(&workspace, &options),
        Task::Celery(options) => celery::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Deny(options) => deny::run(&workspace, &options),
        Task::Docs(options) => docs::run(&workspace, &options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
