//! The account of a row: what was promised, what was done, and what that means.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use trackside_core::{TaskId, Timestamp};

use crate::journal::{Entry, Event};

/// The six numbers of a row, and what makes them good or bad.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Tasks that somebody tried to enqueue.
    pub(crate) attempted: usize,
    /// Those whose enqueue was acknowledged.
    pub(crate) acknowledged: usize,
    /// Acknowledged, and neither run nor among the dead letters.
    pub(crate) lost: usize,
    /// Runs beyond the first one of a task.
    pub(crate) duplicated: usize,
    /// Run although the enqueue was never acknowledged: the answer was lost, the task was not.
    pub(crate) recovered: usize,
    /// Run although nobody tried to enqueue it.
    pub(crate) unexpected: usize,
    /// Of the duplicates, those that began although an earlier holder had neither lost its lease, nor given it back, nor
    /// failed, nor been killed.
    pub(crate) unexplained: usize,
    /// Tasks whose end was acknowledged to two holders.
    pub(crate) ended_twice: usize,
    /// The longest time from a worker's death until what it held was in other hands.
    pub(crate) recovery: Option<Duration>,
}

/// What is known of one task.
#[derive(Debug, Default)]
struct History {
    attempted: bool,
    accepted: bool,
    /// Fences of attempts that had their effect.
    runs: Vec<u64>,
    /// Fences of attempts whose end is recorded.
    finished: HashSet<u64>,
    /// Fences of attempts that failed on purpose.
    failed: HashSet<u64>,
    /// Fences of leases that the holder knows to be gone.
    lost: HashSet<u64>,
    /// Who had it, by fence, and since when.
    holders: HashMap<u64, (String, Timestamp)>,
}

/// Adds up the journals. `dead` are the tasks that are in the dead letters at the end.
pub(crate) fn account(entries: &[Entry], dead: &HashSet<TaskId>) -> Account {
    let killed: HashMap<&str, Timestamp> =
        entries.iter().filter(|it| it.event == Event::Killed).map(|it| (it.who.as_str(), it.at)).collect();
    let mut tasks: HashMap<TaskId, History> = HashMap::new();
    for entry in entries {
        if let Some(task) = entry.task {
            tasks.entry(task).or_default().add(entry);
        }
    }
    let mut sum = Account::default();
    for (task, history) in &tasks {
        let is_run = !history.runs.is_empty();
        sum.attempted += usize::from(history.attempted);
        sum.acknowledged += usize::from(history.accepted);
        sum.lost += usize::from(history.accepted && !is_run && !dead.contains(task));
        sum.recovered += usize::from(history.attempted && !history.accepted && is_run);
        sum.unexpected += usize::from(!history.attempted && is_run);
        sum.duplicated += history.runs.len().saturating_sub(1);
        sum.unexplained += history.runs.iter().filter(|fence| !history.is_explained(**fence, &killed)).count();
        sum.ended_twice += usize::from(history.finished.difference(&history.failed).count() > 1);
        sum.recovery = sum.recovery.max(history.recovery(&killed));
    }
    sum
}

// === impl History ===

impl History {
    fn add(&mut self, entry: &Entry) {
        match entry.event {
            Event::Attempt => self.attempted = true,
            Event::Accepted => self.accepted = true,
            Event::Claimed | Event::Begin => {
                self.holders.entry(entry.fence).or_insert_with(|| (entry.who.clone(), entry.at));
            }
            Event::Run => self.runs.push(entry.fence),
            Event::Fail => {
                self.failed.insert(entry.fence);
            }
            Event::Finished => {
                self.finished.insert(entry.fence);
            }
            Event::Returned | Event::Lost => {
                self.lost.insert(entry.fence);
            }
            Event::Stopped | Event::Draining | Event::Killed => {}
        }
    }

    /// Whether everyone who had the task before is known to have let go of it.
    fn is_explained(&self, run: u64, killed: &HashMap<&str, Timestamp>) -> bool {
        let has_let_go = |fence: &u64, who: &str| {
            self.lost.contains(fence)
                || self.failed.contains(fence)
                || (killed.contains_key(who) && !self.finished.contains(fence))
        };
        let mut before = self.holders.iter().filter(|(fence, _)| **fence < run);
        before.all(|(fence, (who, _))| has_let_go(fence, who))
    }

    /// How long the task was in dead hands, at worst.
    fn recovery(&self, killed: &HashMap<&str, Timestamp>) -> Option<Duration> {
        let mut longest = None;
        for (fence, (who, _)) in &self.holders {
            let Some(died) = killed.get(who.as_str()) else { continue };
            if self.finished.contains(fence) || self.lost.contains(fence) {
                continue;
            }
            let next = self.holders.iter().filter(|(later, _)| *later > fence).map(|(_, (_, since))| *since).min();
            let taken = next.map(|next| Duration::from_millis(next.as_millis().saturating_sub(died.as_millis())));
            longest = longest.max(taken);
        }
        longest
    }
}

// === impl Account ===

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "attempted {} acknowledged {} lost {} duplicated {} recovered {} unexpected {}",
            self.attempted, self.acknowledged, self.lost, self.duplicated, self.recovered, self.unexpected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines such as `run w1 a 3`: event, who, task, fence.
    fn check(lines: &str) -> Account {
        let mut ids: HashMap<&str, TaskId> = HashMap::new();
        let mut entries = Vec::new();
        for (at, line) in lines.split("; ").enumerate() {
            let words: Vec<_> = line.split(' ').collect();
            let event = Event::parse(words[0]).unwrap();
            let task =
                words.get(2).map(|name| *ids.entry(name).or_insert_with(|| TaskId::generate(&"q".parse().unwrap())));
            let fence = words.get(3).map_or(0, |fence| fence.parse().unwrap());
            let at = Timestamp::from_millis(1_000 + at as u64);
            entries.push(Entry { event, who: words[1].to_owned(), task, fence, at });
        }
        account(&entries, &HashSet::new())
    }

    #[test]
    fn a_task_that_is_run_once_is_fine() {
        let sum = check("attempt p a; accepted p a; begin w a 1; run w a 1; finished w a 1");
        assert_eq!(sum, Account { attempted: 1, acknowledged: 1, ..Account::default() });
    }

    #[test]
    fn an_acknowledged_task_that_is_never_run_is_lost_and_an_unacknowledged_one_is_not() {
        assert_eq!(check("attempt p a; accepted p a; attempt p b").lost, 1);
        assert_eq!(check("attempt p a; begin w a 1; run w a 1").recovered, 1);
        assert_eq!(check("begin w a 1; run w a 1").unexpected, 1);
    }

    #[test]
    fn a_repeated_run_needs_a_lease_that_was_lost() {
        let twice = "attempt p a; accepted p a; begin w a 1; run w a 1; begin v a 2; run v a 2; finished v a 2";
        assert_eq!((check(twice).duplicated, check(twice).unexplained), (1, 1));
        for reason in ["lost w a 1", "returned w a 1", "killed w"] {
            let sum = check(&format!("{twice}; {reason}"));
            assert_eq!((sum.duplicated, sum.unexplained), (1, 0), "{reason}");
        }
        assert_eq!(check(&format!("{twice}; finished w a 1; killed w")).unexplained, 1, "its end was recorded");
        assert_eq!(check(&format!("{twice}; finished w a 1")).ended_twice, 1);
        assert_eq!(check(&format!("{twice}; begin u a 3; run u a 3; killed w; killed u")).unexplained, 1, "v ended it");
    }

    #[test]
    fn recovery_counts_from_the_death_of_the_holder_to_the_next_one() {
        let sum = check("attempt p a; accepted p a; begin w a 1; killed w; attempt p b; begin v a 2; run v a 2");
        assert_eq!(sum.recovery, Some(Duration::from_millis(2)));
    }
}
