//! `cargo xtask peers`: Trackside beside other task queues, caches or rate limiters, one script, one run, one table.
//!
//! Every system is a small program in `benches/peers/<system>` that takes the same words (see the README there), is
//! installed at pinned versions into the target directory, and runs against one server with an append-only file.
//! Rounds go over all systems, so that whatever else the machine does meets all of them; the table shows medians.

mod caches;
mod calls;
mod cpu;
mod figures;
mod limits;
mod measure;
mod program;
mod provision;
mod resp;
mod server;
mod system;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use self::figures::Figures;
use self::measure::{Bench, Effort};
use self::program::Program;
pub(crate) use self::server::Server;
use self::system::{CACHES, LIMITS, SYSTEMS, System};
use crate::provide::{self, Install};
use crate::workspace::Workspace;

/// What to compare, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A short look at each figure: shows that every program works and the order of magnitude, not a figure to quote
    #[arg(long)]
    quick: bool,
    /// How many times each figure is taken; the table shows the median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Caches instead of task queues
    #[arg(long)]
    caches: bool,
    /// Rate limiters instead of task queues
    #[arg(long, conflicts_with = "caches")]
    limits: bool,
    /// Only these systems, by the names of their folders
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
    /// Where the figures go as JSON; the target directory by default
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Installs the programs, runs the rounds, prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let all = match options {
        Options { caches: true, .. } => CACHES,
        Options { limits: true, .. } => LIMITS,
        _ => SYSTEMS,
    };
    let systems = chosen(all, &options.only)?;
    let install = Install::from_flag(options.no_install);
    let redis = provide::redis(workspace, install)?;
    let Some(binary) = redis.value(provide::REDIS_VARIABLE) else {
        bail!("the comparison needs a server program on this machine; a container would be measured with it");
    };
    let folder = workspace.target().join("peers");
    let mut failures = Vec::new();
    let mut programs = Vec::new();
    for system in systems {
        let ready = provision::provide(workspace, &folder, system, install).and_then(|program| {
            let versions = program.versions()?;
            Ok((program, versions))
        });
        match ready {
            Ok(ready) => programs.push(ready),
            Err(error) => failures.push(format!("{}: {error:#}", system.name)),
        }
    }
    if options.caches {
        return caches::measure(Path::new(binary), &programs, options, failures);
    }
    if options.limits {
        return limits::measure(Path::new(binary), &programs, options, failures);
    }
    let (effort, rounds) = if options.quick { (Effort::Quick, 1) } else { (Effort::Full, options.rounds.max(1)) };
    let mut figures = Figures::new(rounds);
    for (program, versions) in &programs {
        figures.add_versions(program.system, versions.clone());
    }
    figures.note_load("at the start");
    for round in 1..=rounds {
        for (program, _) in &programs {
            println!("\n== peers: {}, round {round} of {rounds}", program.system.name);
            if let Err(error) = one_round(Path::new(binary), program, effort, &mut figures) {
                println!("{error:#}");
                failures.push(format!("{}, round {round}: {error:#}", program.system.name));
            }
        }
    }
    figures.note_load("at the end");
    let json = options.json.clone().unwrap_or_else(|| folder.join("figures.json"));
    std::fs::write(&json, figures.to_json()).with_context(|| format!("cannot write {}", json.display()))?;
    println!("\n{}\nfigures: {}", table::render(&figures), json.display());
    if !failures.is_empty() {
        bail!("not everything was measured:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

/// Every figure of one system, on a server of its own.
fn one_round(binary: &Path, program: &Program, effort: Effort, figures: &mut Figures) -> anyhow::Result<()> {
    let mut server = Server::start(binary)?;
    figures.note_server(&server.version()?);
    let outcome = Bench::new(&mut server, program, effort).run(figures);
    outcome.with_context(|| format!("{} could not be measured", program.system.name))
}

/// The systems with these folders, in the order of the table; all of them when none is named.
fn chosen(all: &'static [System], only: &[String]) -> anyhow::Result<Vec<&'static System>> {
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|system| system.folder != **name)) {
        let known: Vec<_> = all.iter().map(|system| system.folder).collect();
        bail!("no system is called {unknown}; there are {}", known.join(", "));
    }
    Ok(all.iter().filter(|system| only.is_empty() || only.iter().any(|name| name == system.folder)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_compared_unless_some_are_named() {
        assert_eq!(chosen(SYSTEMS, &[]).unwrap().len(), SYSTEMS.len());
        let one = chosen(SYSTEMS, &["bullmq".to_owned()]).unwrap();
        assert_eq!(one.iter().map(|system| system.name).collect::<Vec<_>>(), ["BullMQ"]);
    }

    #[test]
    fn a_system_that_is_not_there_is_named() {
        let error = chosen(SYSTEMS, &["sidekick".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("sidekick") && error.contains("bullmq"), "{error}");
    }
}
