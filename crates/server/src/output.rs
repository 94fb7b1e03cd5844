//! What commands print: lines for people and JSON for programs, without colours, so that a pipe changes nothing.

use std::{fmt::Write as _, io::Write as _};

use anyhow::Context;

/// On which side a column is flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Writes to standard output. A reader that has read enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Rows under headings, each column as wide as its widest cell.
pub(crate) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|(heading, _)| heading.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let headings: Vec<String> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let cells = row.iter().zip(columns).zip(&widths).map(|((cell, (_, align)), width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Text from elsewhere in one line of at most `limit` characters: what could move a terminal's cursor is spelled out.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    match line.char_indices().nth(limit.saturating_sub(1)) {
        Some((cut, last)) if cut + last.len_utf8() < line.len() => line[..cut].to_owned() + "…",
        _ => line,
    }
}

/// `1 task`, `2 tasks`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A span of time in its two largest units.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => write!(text, "{}.{}s", seconds, ms % 1_000 / 100),
        (0, 0, 0) => write!(text, "{seconds}s"),
        (0, 0, minutes) => write!(text, "{minutes}m{:02}s", seconds % 60),
        (0, hours, minutes) => write!(text, "{hours}h{minutes:02}m"),
        (days, hours, _) => write!(text, "{days}d{hours:02}h"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["exports".to_owned(), "7".into(), "".into()], vec!["é".into(), "12".into(), "paused".into()]];
        let columns = [("QUEUE", Align::Left), ("READY", Align::Right), ("STATE", Align::Left)];
        assert_eq!(table(&columns, &rows), "QUEUE    READY  STATE\nexports      7\né           12  paused\n");
    }

    #[test]
    fn a_line_is_cut_and_cannot_move_the_cursor() {
        assert_eq!(line("a\nb\u{1b}[2J", 80), "a b\\u{1b}[2J");
        assert_eq!(line("äöüß", 4), "äöüß");
        assert_eq!(line("äöüßx", 4), "äöü…");
        assert_eq!(line("", 4), "");
    }

    #[test]
    fn a_span_has_two_units() {
        let spans = [0, 1_250, 59_999, 61_000, 3_660_000, 90_000_000].map(span);
        assert_eq!(spans, ["0.0s", "1.2s", "59s", "1m01s", "1h01m", "1d01h"]);
    }
}
