//! `cargo xtask lint`: what rustfmt, clippy and rustdoc know, and this repository's own rules.
//!
//! Each own rule is a module with one function from a file or from the crates to findings. A finding names the file,
//! the line, the rule and what to do.

mod bounds;
mod documents;
mod finding;
mod layers;
mod lua;
mod manifests;
mod masked;
mod rust;
mod sources;
mod surroundings;

use std::io::{self, IsTerminal as _};

use anyhow::bail;
use clap::Args;

use crate::command;
use crate::docs;
use crate::stages::Stages;
use crate::workspace::Workspace;

/// How much.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only what needs no compiler: formatting and this repository's own rules
    #[arg(long)]
    quick: bool,
}

/// Runs every check, the quick ones first; all of them run even when one fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut stages = Stages::of("lint");
    stages.run("rules of this repository", || own_rules(workspace));
    stages.run("rustfmt", || {
        let color = if io::stdout().is_terminal() { "always" } else { "never" };
        let mut fmt = command::cargo();
        fmt.args(["fmt", "--all", "--", "--check", "--color", color]);
        command::run(fmt.current_dir(workspace.root()))
    });
    if options.quick {
        return stages.finish();
    }
    stages.run("clippy", || {
        let mut clippy = command::cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]);
        command::run(clippy.current_dir(workspace.root()))
    });
    stages.run("documentation", || docs::run(workspace, &docs::Options::default()));
    stages.run("domain crates without Redis", || {
        // In one go: each set of crates has its own set of features, and so its own builds of dependencies.
        let mut check = command::cargo();
        check.args(["check", "--no-default-features", "--lib"]);
        for domain in layers::domain_crates(workspace) {
            check.args(["--package", &domain]);
        }
        command::run(check.current_dir(workspace.root()))
    });
    stages.finish()
}

fn own_rules(workspace: &Workspace) -> anyhow::Result<()> {
    let mut findings = layers::check(workspace)?;
    let mut files = 0_usize;
    for file in sources::read(workspace.root())? {
        files += 1;
        match file.extension() {
            "rs" => {
                findings.extend(rust::check(&file));
                findings.extend(surroundings::check(&file));
                findings.extend(bounds::check_rust(&file));
            }
            "lua" => findings.extend(lua::check(&file)),
            "md" => findings.extend(documents::check(workspace.root(), &file)),
            _ => findings.extend(manifests::check(&file)),
        }
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s) in {files} files", findings.len());
    }
    println!("{files} files, no finding");
    Ok(())
}
