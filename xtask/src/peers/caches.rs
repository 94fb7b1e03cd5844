//! Caches side by side: hits, writes, and how often a cold key is loaded.

use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Options;
use super::calls::{self, Call, Calls, Ready};
use super::figures::median;
use super::program::Program;
use super::table::legend;

const CALLS: [Call; 8] = [
    ("memory", 1, 200_000),
    ("memory", 64, 200_000),
    ("redis", 1, 10_000),
    ("redis", 64, 50_000),
    ("load", 1, 200_000),
    ("load", 64, 200_000),
    ("set", 1, 10_000),
    ("set", 64, 50_000),
];
/// So many processes ask for a cold key at once, each with so many callers.
const PROCESSES: usize = 4;
const CALLERS: usize = 50;
/// Until they do, so that the slowest of them has started.
const START: Duration = Duration::from_secs(4);

/// What was measured of one cache.
#[derive(Debug, Default)]
struct Measured {
    calls: Calls,
    loads: Vec<f64>,
}

/// Measures every program in turn, round by round, and prints the table.
pub(super) fn measure(
    binary: &Path,
    programs: &[Ready],
    options: &Options,
    mut failures: Vec<String>,
) -> anyhow::Result<()> {
    let round = |program: &Program, url: &str, measured: &mut Measured| {
        measured.calls.measure(program, url, "cache", &CALLS, options)?;
        measured.loads.push(stampede(program, url)?);
        Ok(())
    };
    let measured = calls::rounds(binary, programs, options, &mut failures, round)?;
    calls::report(&table(programs, &measured), &failures)
}

/// How often the loader of a cold key runs when all processes ask for it at once.
fn stampede(program: &Program, url: &str) -> anyhow::Result<f64> {
    let at = (SystemTime::now().duration_since(UNIX_EPOCH)? + START).as_secs_f64().to_string();
    let (callers, mut loads) = (CALLERS.to_string(), 0.0);
    let answers: Vec<anyhow::Result<Value>> = thread::scope(|scope| {
        let ask = || program.answer(Some(url), &["stampede", &callers, &at]);
        let asking: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|ask| ask.join().unwrap_or_else(|_| bail!("a process could not be asked"))).collect()
    });
    for answer in answers {
        loads += answer?["loads"].as_f64().context("no loads")?;
    }
    Ok(loads)
}

/// Medians, a line for each cache.
fn table(programs: &[Ready], measured: &[Measured]) -> String {
    let mut text = format!("| cache |{} loads by {PROCESSES} × {CALLERS} callers |\n|---|", calls::heads(&CALLS));
    text.push_str(&"---:|".repeat(CALLS.len() + 1));
    for ((program, _), measured) in programs.iter().zip(measured) {
        text.push_str(&format!("\n| {} |{}", program.system.name, measured.calls.cells(&CALLS)));
        let loads = median(measured.loads.clone());
        text.push_str(&loads.map_or_else(|| " – |".to_owned(), |loads| format!(" {loads} |")));
    }
    text.push_str(calls::EXPLAINED);
    for (program, versions) in programs {
        text.push_str(&legend(program.system, versions));
    }
    text
}
