//! Caches side by side: hits, writes, and how often a cold key is loaded.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Options;
use super::figures::median;
use super::program::Program;
use super::server::Server;
use super::table::legend;

/// What is called, how many callers there are, and how many calls are made in a round.
const CALLS: [(&str, usize, usize); 8] = [
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

/// Samples of one figure: calls a second, and half and 99 of 100 of the times in microseconds.
type Samples = Vec<[f64; 3]>;

/// What was measured of one cache.
#[derive(Debug, Default)]
struct Measured {
    calls: BTreeMap<(&'static str, usize), Samples>,
    loads: Vec<f64>,
}

/// Measures every program in turn, round by round, and prints the table.
pub(super) fn measure(
    binary: &Path,
    programs: &[(Program, BTreeMap<String, String>)],
    options: &Options,
    mut failures: Vec<String>,
) -> anyhow::Result<()> {
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    let mut measured: Vec<Measured> = programs.iter().map(|_| Measured::default()).collect();
    for round in 1..=rounds {
        for ((program, _), measured) in programs.iter().zip(&mut measured) {
            println!("\n== peers: {}, round {round} of {rounds}", program.system.name);
            let server = Server::start(binary)?;
            if let Err(error) = one_round(program, &server.url(), options.quick, measured) {
                failures.push(format!("{}, round {round}: {error:#}", program.system.name));
            }
        }
    }
    println!("\n{}", table(programs, &measured));
    if !failures.is_empty() {
        bail!("not everything was measured:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

fn one_round(program: &Program, url: &str, is_quick: bool, measured: &mut Measured) -> anyhow::Result<()> {
    for (what, places, count) in CALLS {
        let count = if is_quick { count / 10 } else { count };
        let answer = program.answer(Some(url), &["cache", what, &places.to_string(), &count.to_string()])?;
        // A cache without copies has nothing to measure there.
        if !answer.is_null() {
            let number = |name: &str| answer[name].as_f64().with_context(|| format!("no {name} in {answer}"));
            let sample = [number("calls_per_s")?, number("p50_us")?, number("p99_us")?];
            measured.calls.entry((what, places)).or_default().push(sample);
        }
    }
    measured.loads.push(stampede(program, url)?);
    Ok(())
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
fn table(programs: &[(Program, BTreeMap<String, String>)], measured: &[Measured]) -> String {
    let mut text = String::from("| cache |");
    for (what, places, _) in CALLS {
        text.push_str(&format!(" {what} ×{places} |"));
    }
    text.push_str(&format!(" loads by {PROCESSES} × {CALLERS} callers |\n|---|"));
    text.push_str(&"---:|".repeat(CALLS.len() + 1));
    for ((program, _), measured) in programs.iter().zip(measured) {
        text.push_str(&format!("\n| {} |", program.system.name));
        for (what, places, _) in CALLS {
            match measured.calls.get(&(what, places)) {
                Some(samples) => {
                    let of =
                        |part: usize| median(samples.iter().map(|sample| sample[part]).collect()).unwrap_or_default();
                    text.push_str(&format!(" {:.0} ({:.1} / {:.1}) |", of(0), of(1), of(2)));
                }
                None => text.push_str(" – |"),
            }
        }
        let loads = median(measured.loads.clone());
        text.push_str(&loads.map_or_else(|| " – |".to_owned(), |loads| format!(" {loads} |")));
    }
    text.push_str("\n\nCalls a second (microseconds of half of them / of 99 of 100); medians of the rounds.\n");
    for (program, versions) in programs {
        text.push_str(&legend(program.system, versions));
    }
    text
}
