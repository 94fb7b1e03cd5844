//! Lines of a tool: bounded in length, rate and number, and text whatever bytes they were.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::Instant,
};

/// What a tool may print before lines are left out. Everything is read either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// Bytes kept of one line.
    pub line_bytes: usize,
    /// Lines that may come at once.
    pub burst: u32,
    /// Lines that may come in the long run.
    pub per_second: u32,
    /// Log lines of one stream of one run.
    pub total: u64,
    /// Bytes kept of the end of standard error, for the error of a failed run.
    pub tail_bytes: usize,
}

/// Reads lines that end with a newline or with the stream.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: BufReader<R>,
    limit: usize,
    /// The line so far, at most `limit` bytes.
    line: Vec<u8>,
    truncated: bool,
}

/// A token bucket and a total.
#[derive(Debug)]
pub(super) struct LineBudget {
    limits: LineLimits,
    tokens: f64,
    refilled: Instant,
    admitted: u64,
    left_out: u64,
}

// === impl LineLimits ===

impl Default for LineLimits {
    fn default() -> Self {
        Self { line_bytes: 8 * 1024, burst: 1_000, per_second: 100, total: 20_000, tail_bytes: 4 * 1024 }
    }
}

// === impl LineReader ===

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::new(reader), limit, line: Vec::new(), truncated: false }
    }

    /// The next line without its end, or `None` at the end of the stream. Cancel-safe.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                let is_end = self.line.is_empty() && !self.truncated;
                return Ok(if is_end { None } else { Some(self.take()) });
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let (part, used) = match newline {
                Some(at) => (&chunk[..at], at + 1),
                None => (chunk, chunk.len()),
            };
            let room = self.limit.saturating_sub(self.line.len());
            self.truncated |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.reader.consume(used);
            if newline.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.line);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        // No database column takes a NUL.
        let mut line = String::from_utf8_lossy(bytes).replace('\0', "\u{FFFD}");
        if std::mem::take(&mut self.truncated) {
            line.push('…');
        }
        line
    }
}

// === impl LineBudget ===

impl LineBudget {
    pub(super) fn new(limits: LineLimits) -> Self {
        Self { limits, tokens: f64::from(limits.burst), refilled: Instant::now(), admitted: 0, left_out: 0 }
    }

    /// Whether a line may pass now.
    pub(super) fn admit(&mut self) -> bool {
        let now = Instant::now();
        let refill = (now - self.refilled).max(Duration::ZERO).as_secs_f64() * f64::from(self.limits.per_second);
        self.tokens = (self.tokens + refill).min(f64::from(self.limits.burst));
        self.refilled = now;
        let passes = self.tokens >= 1.0 && self.admitted < self.limits.total;
        if passes {
            self.tokens -= 1.0;
            self.admitted += 1;
        } else {
            self.left_out += 1;
        }
        passes
    }

    /// A sentence about the lines left out since the last call, where there were any.
    pub(super) fn left_out(&mut self) -> Option<String> {
        match std::mem::take(&mut self.left_out) {
            0 => None,
            1 => Some("… 1 line left out".to_owned()),
            lines => Some(format!("… {lines} lines left out")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], limit: usize) -> Vec<String> {
        let mut reader = LineReader::new(input, limit);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_end_with_a_newline_a_carriage_return_or_the_stream() {
        assert_eq!(lines(b"a\r\n\nb", 100).await, ["a", "", "b"]);
        assert!(lines(b"", 100).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_without_end_costs_no_more_memory_than_its_limit() {
        let mut input = vec![b'x'; 100_000];
        input.extend_from_slice(b"\nshort");
        assert_eq!(lines(&input, 5).await, ["xxxxx…", "short"]);
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines(b"a\xffb\0c\n", 100).await, ["a\u{FFFD}b\u{FFFD}c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_thinned_and_counted() {
        let mut budget = LineBudget::new(LineLimits { burst: 3, per_second: 2, total: 6, ..LineLimits::default() });
        let admitted = (0..10).filter(|_| budget.admit()).count();
        assert_eq!(admitted, 3);
        assert_eq!(budget.left_out().unwrap(), "… 7 lines left out");
        assert_eq!(budget.left_out(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..10).filter(|_| budget.admit()).count(), 2);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((0..10).filter(|_| budget.admit()).count(), 1, "the total is reached");
    }
}
