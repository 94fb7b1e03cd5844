//! Rate limiters side by side: checks by one limit and by three, of one subject and of many.

use std::path::Path;

use super::Options;
use super::calls::{self, Call, Calls, Ready};
use super::program::Program;
use super::table::legend;

const CALLS: [Call; 10] = [
    ("one", 1, 10_000),
    ("one", 64, 100_000),
    ("three", 1, 10_000),
    ("three", 64, 50_000),
    ("keys", 1, 10_000),
    ("keys", 64, 100_000),
    ("denied", 1, 10_000),
    ("denied", 64, 100_000),
    ("leased", 1, 1_000_000),
    ("leased", 64, 1_000_000),
];

/// Measures every program in turn, round by round, and prints the table.
pub(super) fn measure(
    binary: &Path,
    programs: &[Ready],
    options: &Options,
    mut failures: Vec<String>,
) -> anyhow::Result<()> {
    let round =
        |program: &Program, url: &str, calls: &mut Calls| calls.measure(program, url, "limits", &CALLS, options);
    let measured = calls::rounds(binary, programs, options, &mut failures, round)?;
    calls::report(&table(programs, &measured), &failures)
}

/// Medians, a line for each limiter, and how many times the others' rates the first one's are.
fn table(programs: &[Ready], measured: &[Calls]) -> String {
    let rule = "---:|".repeat(CALLS.len());
    let head = |name: &str| format!("| {name} |{}\n|---|{rule}", calls::heads(&CALLS));
    let mut text = head("limiter");
    for ((program, _), calls) in programs.iter().zip(measured) {
        text.push_str(&format!("\n| {} |{}", program.system.name, calls.cells(&CALLS)));
    }
    text.push_str(calls::EXPLAINED);
    if let [(first, _), ..] = programs {
        text.push_str(&format!("\n{}", head(&format!("rates of {}, times those of", first.system.name))));
        for ((program, _), calls) in programs.iter().zip(measured).skip(1) {
            text.push_str(&format!("\n| {} |{}", program.system.name, measured[0].times(calls, &CALLS)));
        }
        text.push_str("\n\n");
    }
    for (program, versions) in programs {
        text.push_str(&legend(program.system, versions));
    }
    text
}
