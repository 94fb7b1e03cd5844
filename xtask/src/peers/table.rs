//! The figures as tables that can be read in a terminal and pasted into a document.

use std::fmt::Write as _;

use super::figures::{Figures, Metric};
use super::system::System;

/// A table: what it shows, and its columns.
struct Table {
    title: &'static str,
    columns: &'static [(&'static str, &'static [Metric])],
}

const TABLES: [Table; 2] = [
    Table {
        title: "Jobs a second, milliseconds to pick a job up from an empty queue, bytes of the server for each job",
        columns: &[
            ("enqueue ×1", &[Metric::EnqueueOne]),
            ("×64", &[Metric::EnqueueFlight]),
            ("bulk", &[Metric::EnqueueBulk]),
            ("drain c1", &[Metric::DrainOne]),
            ("c16", &[Metric::DrainSixteen]),
            ("c64", &[Metric::DrainMany]),
            ("pick-up p50 / p99", &[Metric::PickupMedian, Metric::PickupWorst]),
            ("bytes queued", &[Metric::BytesQueued]),
            ("left", &[Metric::BytesLeft]),
        ],
    },
    Table {
        title: "Microseconds of processor time for each job: the server's main thread, and the worker process",
        columns: &[
            ("server: enqueue ×1", &[Metric::EnqueueServer]),
            ("drain c1", &[Metric::DrainOneServer]),
            ("c16", &[Metric::DrainSixteenServer]),
            ("c64", &[Metric::DrainManyServer]),
            ("worker: drain c1", &[Metric::DrainOneWorker]),
            ("c16", &[Metric::DrainSixteenWorker]),
            ("c64", &[Metric::DrainManyWorker]),
        ],
    },
];

/// Everything that a run tells.
pub(crate) fn render(figures: &Figures) -> String {
    let mut text = format!("{}; medians of {}\n", figures.place(), figures.rounds);
    for table in &TABLES {
        let _ = write!(
            text,
            "\n{}:\n\n{}",
            table.title,
            grid(figures, table, |system, metric| cell(figures, system, metric))
        );
    }
    if let [ours, _, ..] = figures.systems()[..] {
        let title = format!("How many times better {} is (below 1: worse)", ours.name);
        let better = |system: &System, metric| factor(figures, ours, system, metric);
        let _ = write!(text, "\n{title}:\n\n{}", grid(figures, &TABLES[0], better));
    }
    text.push('\n');
    for system in figures.systems() {
        text.push_str(&legend(system, figures.versions(system).into_iter().flatten()));
    }
    text
}

/// What was measured under a name: `- name (part 1.2, other 3.4): settings`, a line.
pub(crate) fn legend<'a>(system: &System, versions: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let versions: Vec<_> = versions.into_iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!("- {} ({}): {}\n", system.name, versions.join(", "), system.settings)
}

/// Rows of systems, columns as wide as what stands in them.
fn grid(figures: &Figures, table: &Table, cell: impl Fn(&System, Metric) -> String) -> String {
    let mut rows = vec![vec!["system".to_owned()]];
    rows[0].extend(table.columns.iter().map(|(header, _)| (*header).to_owned()));
    for system in figures.systems() {
        let mut row = vec![system.name.to_owned()];
        for (_, metrics) in table.columns {
            row.push(metrics.iter().map(|metric| cell(system, *metric)).collect::<Vec<_>>().join(" / "));
        }
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..=table.columns.len()).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (value, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(text, "| {value:<width$} |") } else { write!(text, " {value:>width$} |") };
        }
        text.push('\n');
        if number == 0 {
            let rules = widths.iter().enumerate().map(|(column, width)| {
                if column == 0 {
                    format!("|{}|", "-".repeat(width + 2))
                } else {
                    format!("{}:|", "-".repeat(width + 1))
                }
            });
            let _ = writeln!(text, "{}", rules.collect::<String>());
        }
    }
    text
}

fn cell(figures: &Figures, system: &System, metric: Metric) -> String {
    let Some(value) = figures.median(system, metric) else { return "–".to_owned() };
    match metric {
        Metric::PickupMedian | Metric::PickupWorst => format!("{:.2}", value / 1_000.0),
        Metric::BytesQueued | Metric::BytesLeft => format!("{value:.0}"),
        rate if rate.is_rate() => thousands(value),
        _ => format!("{value:.1}"),
    }
}

/// 61,234 for 61234.4.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn factor(figures: &Figures, ours: &System, system: &System, metric: Metric) -> String {
    let (Some(own), Some(other)) = (figures.median(ours, metric), figures.median(system, metric)) else {
        return "–".to_owned();
    };
    let factor = if metric.is_rate() { own / other } else { other / own };
    if factor.is_finite() { format!("{factor:.2}") } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::system::SYSTEMS;
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_system_and_a_ratio_for_each_peer() {
        let mut figures = Figures::new(1);
        for (system, rate) in SYSTEMS.iter().zip([60_000.0, 15_000.0]) {
            figures.add_versions(system, BTreeMap::from([(system.folder.to_owned(), "1.0".to_owned())]));
            figures.add(system, Metric::DrainMany, rate);
            figures.add(system, Metric::PickupMedian, rate / 10.0);
        }
        let text = render(&figures);
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(&format!("| {name}"))).count();
        assert_eq!((lines("Trackside"), lines("BullMQ")), (3, 3), "{text}");
        for expected in ["60,000", "15,000", "4.00", "6.00 / –", "0.25 / –"] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(999.6), "1,000");
        assert_eq!(thousands(87.2), "87");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
