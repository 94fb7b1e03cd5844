//! What the processes did, and the judgement on it.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// What clocks that are read at every hit may be behind: a tick of the kernel, on both sides.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// What happened. Times are microseconds of this machine's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// An answer to a question of then.
    Read { process: usize, key: String, value: u64, at: u64 },
    /// A change was answered then: `s` set, `d` deleted, `t` invalidated by its tag.
    Wrote { process: usize, key: String, value: u64, kind: char, at: u64, is_remembered: bool },
    /// Everything that the process remembered was written by then.
    Flushed { process: usize, at: u64 },
    /// What else a process did: reads and writes altogether, and answers from copies.
    Sum { operations: usize, from_copies: usize },
}

/// While the primary was away, by the same clock. Nobody says whether the invalidation of a tag was remembered.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// The judgement.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) operations: usize,
    pub(crate) answers: usize,
    pub(crate) from_copies: usize,
    pub(crate) writes: usize,
    pub(crate) remembered: usize,
    /// How old an answer was at most, of those that were not the newest.
    pub(crate) oldest: Duration,
    /// Answers that were too old.
    pub(crate) stale: Vec<String>,
}

/// Values of a key, and from when on nobody may read an older one: sorted by time, values growing.
type Known = Vec<(u64, u64)>;

pub(crate) fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Holds every answer against what was written.
pub(crate) fn judge(events: &[Event], outage: &Outage, bound: Duration) -> Sum {
    let mut sum = Sum::default();
    let mut flushes: HashMap<usize, Vec<u64>> = HashMap::new();
    for event in events {
        if let Event::Flushed { process, at } = event {
            flushes.entry(*process).or_default().push(*at);
        }
    }
    // For everybody, and for the process that wrote.
    let mut everywhere: HashMap<&str, Known> = HashMap::new();
    let mut own: HashMap<(usize, &str), Known> = HashMap::new();
    for event in events {
        let Event::Wrote { process, key, value, kind, at, is_remembered } = event else { continue };
        sum.writes += 1;
        sum.remembered += usize::from(*is_remembered);
        own.entry((*process, key)).or_default().push((*at, *value));
        let is_unclear = *kind == 't' && (outage.from..outage.until).contains(at);
        let known_at = match is_remembered {
            false => Some(*at),
            true => flushes.get(process).into_iter().flatten().filter(|flush| *flush >= at).min().copied(),
        };
        if let Some(known_at) = known_at.filter(|_| !is_unclear) {
            everywhere.entry(key).or_default().push((known_at, *value));
        }
    }
    for known in everywhere.values_mut().chain(own.values_mut()) {
        known.sort_unstable();
        let mut newest = 0;
        known.retain(|(_, value)| {
            let is_newer = *value > newest;
            newest = newest.max(*value);
            is_newer
        });
    }
    let allowed = u64::try_from((bound + SLACK).as_micros()).unwrap();
    for event in events {
        match event {
            Event::Read { process, key, value, at } => {
                sum.answers += 1;
                let known = [everywhere.get(key.as_str()), own.get(&(*process, key.as_str()))];
                // The first that was newer than the answer.
                let newer = known.into_iter().flatten().filter_map(|known| {
                    let index = known.partition_point(|(_, known)| known <= value);
                    known.get(index).filter(|(known_at, _)| known_at < at)
                });
                if let Some((known_at, newer)) = newer.min() {
                    let behind = at - known_at;
                    sum.oldest = sum.oldest.max(Duration::from_micros(behind));
                    if behind > allowed {
                        sum.stale.push(format!("{key}: {value} at {at}, {behind} µs after {newer}, in {process}"));
                    }
                }
            }
            Event::Sum { operations, from_copies } => {
                sum.operations += operations;
                sum.from_copies += from_copies;
            }
            Event::Wrote { .. } | Event::Flushed { .. } => {}
        }
    }
    sum
}

// === impl Sum ===

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads and writes, {} answers ({} from copies), {} changes ({} remembered), oldest answer {:?} behind, {} too old",
            self.operations,
            self.answers,
            self.from_copies,
            self.writes,
            self.remembered,
            self.oldest,
            self.stale.len()
        )?;
        self.stale.iter().take(5).try_for_each(|stale| write!(f, "\n  {stale}"))
    }
}
