//! `cargo xtask chaos`: the long pass of the crash matrix, and its table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::command;
use crate::provide::{self, Install};
use crate::workspace::Workspace;

/// Which rows, and how long.
#[derive(Debug, Args)]
#[command(long_about = "\
Run the crash matrix: real worker processes and real servers, killed, frozen, cut off and filled up, one row at a time.

Each row's processes write journals, which are added up at the end: attempted, acknowledged, lost, duplicated, \
recovered, unexpected. `unexplained` are runs too many without a lost lease behind them. `slow` counts scripts that \
took 1 ms or more, `worst` is the longest of them in milliseconds; `recovery` is the longest time, in seconds, from a \
worker's death until what it held was in other hands.

The same rows run with fewer tasks in `cargo xtask test`.")]
pub(crate) struct Options {
    /// Few tasks, as in `cargo xtask test`
    #[arg(long)]
    quick: bool,
    /// Also build this commit, and roll from it to the present one with work in flight
    #[arg(long, value_name = "COMMIT")]
    previous: Option<String>,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
    /// Run only the rows whose test name contains this
    filter: Option<String>,
}

/// A row's line, column by column.
type Line = Vec<String>;

/// The columns that a row writes, in the order of `crates/domain/queue/tests/chaos/report.rs`.
const COLUMNS: [&str; 13] = [
    "row",
    "attempted",
    "acknowledged",
    "lost",
    "duplicated",
    "recovered",
    "unexpected",
    "unexplained",
    "slow",
    "worst",
    "recovery",
    "seconds",
    "verdict",
];

/// Where the rows are: a crate, a test program of it, and the module in that program.
const ROWS: [(&str, &str, &str); 2] = [("trackside-queue", "chaos", ""), ("trackside", "it", "rolling_upgrade")];

/// Runs the rows and prints the table, also when a row failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let redis = provide::redis(workspace, Install::from_flag(options.no_install))?;
    let folder = workspace.target().join("chaos");
    let reports = folder.join("rows");
    if reports.exists() {
        fs::remove_dir_all(&reports).with_context(|| format!("cannot empty {}", reports.display()))?;
    }
    fs::create_dir_all(&reports).with_context(|| format!("cannot make {}", reports.display()))?;
    let previous = match &options.previous {
        Some(commit) => Some(build_previous(workspace, &folder, commit)?),
        None => None,
    };
    let filter = options.filter.as_deref().unwrap_or_default();
    let mut outcomes = Vec::new();
    for (package, target, module) in ROWS {
        if !module.contains(filter) && !module.is_empty() {
            continue;
        }
        let chosen = if module.is_empty() { filter } else { module };
        let mut rows = command::cargo();
        rows.current_dir(workspace.root()).args(["test", "--package", package, "--all-features", "--test", target]);
        rows.arg("--no-fail-fast").arg("--").args(["--test-threads", "1"]);
        if !chosen.is_empty() {
            rows.arg(chosen);
        }
        rows.env("TRACKSIDE_CHAOS_REPORT", &reports);
        rows.env("TRACKSIDE_CHAOS", if options.quick { "short" } else { "long" });
        if let Some(previous) = &previous {
            rows.env("TRACKSIDE_CHAOS_PREVIOUS", previous);
        }
        redis.apply(&mut rows);
        outcomes.push(command::run(&mut rows));
    }
    let lines = read(&reports)?;
    println!("\n{}", table(&lines));
    let failed: Vec<_> = lines.iter().filter(|line| line.last().is_some_and(|verdict| verdict != "ok")).collect();
    if !failed.is_empty() {
        bail!("{} of {} rows failed", failed.len(), lines.len());
    }
    outcomes.into_iter().collect()
}

/// The service as that commit has it, built in a work tree of its own; answers where the program is.
fn build_previous(workspace: &Workspace, folder: &Path, commit: &str) -> anyhow::Result<PathBuf> {
    let tree = folder.join("previous");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(workspace.root()).args(arguments);
        command::run(&mut git)
    };
    let path = tree.to_string_lossy();
    if tree.exists() {
        git(&["worktree", "remove", "--force", &path])?;
    }
    git(&["worktree", "add", "--detach", &path, commit])?;
    let target = folder.join("previous-target");
    let mut build = command::cargo();
    build.current_dir(&tree).args(["build", "--package", "trackside", "--target-dir"]).arg(&target);
    let built = command::run(&mut build);
    git(&["worktree", "remove", "--force", &path])?;
    built?;
    Ok(target.join("debug").join("trackside"))
}

/// What the rows wrote, in the order of their names.
fn read(folder: &Path) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for file in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
        let text = fs::read_to_string(file?.path())?;
        let line: Line = text.split('\t').map(str::to_owned).collect();
        if line.len() != COLUMNS.len() {
            bail!("a row with {} columns instead of {}: {text}", line.len(), COLUMNS.len());
        }
        lines.push(line);
    }
    lines.sort();
    Ok(lines)
}

/// The lines under each other, numbers to the right.
fn table(lines: &[Line]) -> String {
    let head: Line = COLUMNS.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Line> = std::iter::once(&head).chain(lines).collect();
    let width = |column: usize| all.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for line in all {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let is_text = column == 0 || column == COLUMNS.len() - 1;
            if is_text { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_row_with_its_numbers_below_each_other() {
        let line = |row: &str, attempted: &str| {
            let mut line = vec!["0".to_owned(); COLUMNS.len()];
            (line[0], line[1], line[12]) = (row.to_owned(), attempted.to_owned(), "ok".to_owned());
            line
        };
        let text = table(&[line("killed", "7"), line("±1 h", "1000000")]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("row     attempted"), "{text}");
        assert!(lines[1].starts_with("killed          7"), "{text}");
        assert!(lines[2].starts_with("±1 h      1000000"), "{text}");
        assert!(lines[1].ends_with("  ok"), "{text}");
    }

    #[test]
    fn rows_are_read_back_in_order_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let line = |row: &str| format!("{row}{}", "\t0".repeat(COLUMNS.len() - 1));
        fs::write(folder.path().join("b"), line("b")).unwrap();
        fs::write(folder.path().join("a"), line("a")).unwrap();
        let rows: Vec<_> = read(folder.path()).unwrap().into_iter().map(|line| line[0].clone()).collect();
        assert_eq!(rows, ["a", "b"]);
        fs::write(folder.path().join("c"), "c\t1").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("2 columns"));
    }
}
