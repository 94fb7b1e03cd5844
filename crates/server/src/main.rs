//! The `trackside` program: settings, wiring, and the commands. Everything it can do lives in the crates it joins.

mod acl;
mod acl_command;
mod alerts;
mod brake;
mod cli;
mod config;
mod config_command;
mod demo;
mod failure;
mod files;
mod healthcheck;
mod keys_file;
mod outgoing;
mod output;
mod program;
mod queue_command;
mod serve;
mod shutdown;
mod startup_log;
mod telemetry;
mod tls;
mod token_command;
mod traced;
mod wiring;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Serve(args) => {
            block_on(serve::run(config_command::load(&args.overrides()).map_err(Failure::settings)?))
        }
        Command::Worker(args) => {
            block_on(worker::run(config_command::load(&args.overrides()).map_err(Failure::settings)?))
        }
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Queue(args) => block_on(queue_command::run(args)),
        Command::Token(args) => token_command::run(args),
        Command::Acl { command } => acl_command::run(command),
        Command::Config { command } => config_command::run(command),
        Command::Healthcheck(args) => block_on(async { Ok(healthcheck::run(args).await?) }),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "trackside", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn block_on(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // Another dependency may bring a second provider into the program; ours is named before anything asks for it.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from)?;
    let result = runtime.block_on(future);
    // A blocking call that hangs must not hold up the end of the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
