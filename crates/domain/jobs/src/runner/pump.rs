//! Reads what a tool prints and passes it on as events.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncRead,
    process::{Child, ChildStderr, ChildStdout},
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    RunEvent, Stream,
    lines::{LineBudget, LineLimits, LineReader},
};

/// Both streams of one run.
pub(super) struct Pump {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    limits: LineLimits,
    events: mpsc::Sender<RunEvent>,
    /// When to stop reading although a stream has not ended.
    deadline: watch::Sender<Option<Instant>>,
}

/// Tells a pump that the run is over.
pub(super) struct StopHandle(watch::Sender<Option<Instant>>);

/// The last lines of a stream.
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    limit: usize,
}

// === impl StopHandle ===

impl StopHandle {
    pub(super) fn stop_after(self, wait: Duration) {
        self.0.send_replace(Some(Instant::now() + wait));
    }
}

// === impl Pump ===

impl Pump {
    pub(super) fn new(child: &mut Child, limits: LineLimits, events: mpsc::Sender<RunEvent>) -> Self {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Self { stdout, stderr, limits, events, deadline: watch::Sender::new(None) }
    }

    pub(super) fn stop_handle(&self) -> StopHandle {
        StopHandle(self.deadline.clone())
    }

    /// Reads both streams to their end; answers the end of standard error.
    pub(super) async fn run(mut self) -> String {
        let mut tail = Tail { lines: VecDeque::new(), bytes: 0, limit: self.limits.tail_bytes };
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        tokio::join!(self.stdout(stdout), self.stderr(stderr, &mut tail));
        tail.lines.make_contiguous().join("\n")
    }

    async fn stdout(&self, stream: Option<ChildStdout>) {
        let Some(stream) = stream else { return };
        let mut reader = LineReader::new(stream, self.limits.line_bytes);
        let mut budget = LineBudget::new(self.limits);
        let mut held_back = None;
        while let Some(line) = self.next(&mut reader).await {
            let event = event(line);
            if budget.admit() {
                self.say_left_out(&mut budget, Stream::Stdout).await;
                held_back = None;
                self.send(event).await;
            } else if matches!(event, RunEvent::Progress { .. }) {
                // The newest progress says what the ones before it said.
                held_back = Some(event);
            }
        }
        self.say_left_out(&mut budget, Stream::Stdout).await;
        if let Some(event) = held_back {
            self.send(event).await;
        }
    }

    async fn stderr(&self, stream: Option<ChildStderr>, tail: &mut Tail) {
        let Some(stream) = stream else { return };
        let mut reader = LineReader::new(stream, self.limits.line_bytes);
        let mut budget = LineBudget::new(self.limits);
        while let Some(line) = self.next(&mut reader).await {
            tail.push(line.clone());
            if budget.admit() {
                self.say_left_out(&mut budget, Stream::Stderr).await;
                self.send(RunEvent::Log { stream: Stream::Stderr, line }).await;
            }
        }
        self.say_left_out(&mut budget, Stream::Stderr).await;
    }

    async fn next<R: AsyncRead + Unpin>(&self, reader: &mut LineReader<R>) -> Option<String> {
        tokio::select! {
            biased;
            line = reader.next() => line.unwrap_or_else(|error| {
                tracing::debug!(%error, "a stream of a tool broke");
                None
            }),
            () = self.deadline_passed() => None,
        }
    }

    async fn deadline_passed(&self) {
        let mut deadline = self.deadline.subscribe();
        // The sender lives in `self`, so this waits until a deadline is set.
        let at = deadline.wait_for(Option::is_some).await.ok().and_then(|at| *at);
        match at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    async fn say_left_out(&self, budget: &mut LineBudget, stream: Stream) {
        if let Some(line) = budget.left_out() {
            self.send(RunEvent::Log { stream, line }).await;
        }
    }

    async fn send(&self, event: RunEvent) {
        // Nobody listens any more when the caller gave up on the events; the tool must still not block.
        let _ = self.events.send(event).await;
    }
}

// === impl Tail ===

impl Tail {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > self.limit && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len() + 1);
        }
    }
}

/// A JSON object with `progress` or `message` is progress, anything else a log line.
pub(crate) fn event(line: String) -> RunEvent {
    if line.starts_with('{')
        && let Ok(Value::Object(object)) = serde_json::from_str(&line)
    {
        #[expect(clippy::cast_possible_truncation, reason = "a percentage keeps more digits than anyone shows")]
        let percent = object.get("progress").and_then(Value::as_f64).map(|percent| percent.clamp(0.0, 100.0) as f32);
        let message = object.get("message").and_then(Value::as_str).map(str::to_owned);
        if percent.is_some() || message.is_some() {
            return RunEvent::Progress { percent, message };
        }
    }
    RunEvent::Log { stream: Stream::Stdout, line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_progress_only_when_it_says_so() {
        let progress =
            |percent, message: Option<&str>| RunEvent::Progress { percent, message: message.map(str::to_owned) };
        for (line, expected) in [
            (r#"{"progress": 41.5, "message": "reading"}"#, progress(Some(41.5), Some("reading"))),
            (r#"{"progress": 400}"#, progress(Some(100.0), None)),
            (r#"{"progress": -1}"#, progress(Some(0.0), None)),
            (r#"{"message": "half way", "other": 1}"#, progress(None, Some("half way"))),
        ] {
            assert_eq!(event(line.to_owned()), expected, "{line}");
        }
        for line in ["plain", "{not json", r#"{"other": 1}"#, r#"{"progress": "high"}"#, r#"["progress"]"#] {
            assert_eq!(event(line.to_owned()), RunEvent::Log { stream: Stream::Stdout, line: line.to_owned() });
        }
    }

    #[test]
    fn the_tail_keeps_the_last_lines_within_its_size() {
        let mut tail = Tail { lines: VecDeque::new(), bytes: 0, limit: 10 };
        for line in ["aaaa", "bbbb", "cccc"] {
            tail.push(line.to_owned());
        }
        assert_eq!(tail.lines, ["bbbb", "cccc"]);
    }
}
