//! What is told in calls a second: caches and limits, whose programs answer with a rate and with times.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::Options;
use super::figures::median;
use super::program::Program;
use super::server::Server;

/// What is called, how many callers there are, and how many calls are made in a round.
pub(super) type Call = (&'static str, usize, usize);

/// A program and what it is made of.
pub(super) type Ready = (Program, BTreeMap<String, String>);

/// What a table of calls says below it.
pub(super) const EXPLAINED: &str =
    "\n\nCalls a second (microseconds of half of them / of 99 of 100); medians of the rounds.\n";

/// Samples of one program: calls a second, and half and 99 of 100 of the times in microseconds.
#[derive(Debug, Default)]
pub(super) struct Calls {
    samples: BTreeMap<(&'static str, usize), Vec<[f64; 3]>>,
}

/// Measures every program in turn, round by round, each on a server of its own; answers what was measured of each.
pub(super) fn rounds<M: Default>(
    binary: &Path,
    programs: &[Ready],
    options: &Options,
    failures: &mut Vec<String>,
    round_of: impl Fn(&Program, &str, &mut M) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<M>> {
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    let mut measured: Vec<M> = programs.iter().map(|_| M::default()).collect();
    for round in 1..=rounds {
        for ((program, _), measured) in programs.iter().zip(&mut measured) {
            println!("\n== peers: {}, round {round} of {rounds}", program.system.name);
            let server = Server::start(binary)?;
            if let Err(error) = round_of(program, &server.url(), measured) {
                failures.push(format!("{}, round {round}: {error:#}", program.system.name));
            }
        }
    }
    Ok(measured)
}

/// Prints the table, and fails with what could not be measured.
pub(super) fn report(table: &str, failures: &[String]) -> anyhow::Result<()> {
    println!("\n{table}");
    if !failures.is_empty() {
        bail!("not everything was measured:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

/// The cells of a table's head, one for each call.
pub(super) fn heads(calls: &[Call]) -> String {
    calls.iter().map(|(what, places, _)| format!(" {what} ×{places} |")).collect()
}

// === impl Calls ===

impl Calls {
    /// Has a program make all calls once. What it answers nothing to, it does not have.
    pub(super) fn measure(
        &mut self,
        program: &Program,
        url: &str,
        noun: &str,
        calls: &[Call],
        options: &Options,
    ) -> anyhow::Result<()> {
        for (what, places, count) in calls {
            let count = if options.quick { count / 10 } else { *count };
            let answer = program.answer(Some(url), &[noun, what, &places.to_string(), &count.to_string()])?;
            if !answer.is_null() {
                let number = |name: &str| answer[name].as_f64().with_context(|| format!("no {name} in {answer}"));
                let sample = [number("calls_per_s")?, number("p50_us")?, number("p99_us")?];
                self.samples.entry((what, *places)).or_default().push(sample);
            }
        }
        Ok(())
    }

    fn median(&self, (what, places, _): Call, part: usize) -> Option<f64> {
        median(self.samples.get(&(what, places))?.iter().map(|sample| sample[part]).collect())
    }

    /// The cells of a program's line.
    pub(super) fn cells(&self, calls: &[Call]) -> String {
        let cell = |call: &Call| {
            let of = |part| self.median(*call, part);
            let cell = of(0).zip(of(1)).zip(of(2));
            cell.map_or_else(
                || " – |".to_owned(),
                |((rate, half), most)| format!(" {rate:.0} ({half:.1} / {most:.1}) |"),
            )
        };
        calls.iter().map(cell).collect()
    }

    /// How many times the rates of another program these are.
    pub(super) fn times(&self, other: &Self, calls: &[Call]) -> String {
        let times = |call: &Call| Some(self.median(*call, 0)? / other.median(*call, 0)?);
        calls
            .iter()
            .map(|call| times(call).map_or_else(|| " – |".to_owned(), |times| format!(" {times:.2} |")))
            .collect()
    }
}
