//! Calls of several kinds in turn, so that whatever else the machine does meets all of them.

use std::time::{Duration, Instant};

/// How many of each: enough for a median, or next to none where the bench is only run to see that it works.
const MANY: usize = 20_000;
const FEW: usize = 10;

/// The time of every call, by its kind; the first kind is what the others are compared with.
#[derive(Debug, Default)]
pub struct Turns {
    kinds: Vec<(&'static str, Vec<Duration>)>,
}

// === impl Turns ===

impl Turns {
    /// How many turns to take. Cargo says `--bench` when it is about figures.
    #[must_use]
    pub fn count() -> usize {
        if std::env::args().any(|word| word == "--bench") { MANY } else { FEW }
    }

    /// Times one call.
    pub async fn time<T>(&mut self, kind: &'static str, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        let time = begun.elapsed();
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, times)) => times.push(time),
            None => self.kinds.push((kind, vec![time])),
        }
        answer
    }

    /// Prints the median of each kind beside that of the first.
    #[expect(clippy::print_stdout, reason = "it is what a bench is for")]
    pub fn print(mut self, bench: &str) {
        let mut first = None;
        for (kind, times) in &mut self.kinds {
            times.sort_unstable();
            let median = times[times.len() / 2];
            let ratio = median.as_secs_f64() / first.get_or_insert(median).as_secs_f64();
            println!("{bench}, in turn: {kind} {median:?}, {ratio:.2} x");
        }
    }
}
