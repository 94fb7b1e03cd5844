//! The end of a row: the queue is drained, the journals are added up, the server is audited, and all of it is judged.

use std::collections::HashSet;

use trackside_core::TaskId;
use trackside_queue::{DeadCursor, MAX_BATCH};
use trackside_redis::Command;

use crate::{
    checker::{Account, account},
    journal::Entry,
    report::Report,
    row::{PREFIX, Row},
};

/// What a row may end with besides runs.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Dead letters.
    pub(crate) dead: usize,
    /// Whether the server may have forgotten what it acknowledged: losses are then counted and not refused.
    pub(crate) server_forgets: bool,
}

// === impl Row ===

impl Row {
    /// Ends the row once nothing is left to do.
    pub(crate) async fn finish(self, expected: Expected) -> Account {
        self.drained().await;
        self.finish_with(self.entries(), expected).await
    }

    /// The same with journals that were kept elsewhere.
    pub(crate) async fn finish_with(&self, entries: Vec<Entry>, expected: Expected) -> Account {
        let dead = self.dead_letters().await;
        let sum = account(&entries, &dead);
        let mut slow = self.slow.clone();
        slow.note(&self.service).await;
        // A task of which the server may have forgotten something is counted and not judged.
        let forgotten: HashSet<_> =
            entries.iter().filter(|it| self.is_unwritten(it)).filter_map(|it| it.task).collect();
        let is_kept = |entry: &&Entry| entry.task.is_none_or(|task| !forgotten.contains(&task));
        let kept: Vec<_> = entries.iter().filter(is_kept).cloned().collect();
        let mut wrong = journals(&account(&kept, &dead), dead.len(), &expected);
        wrong.extend(self.audit(&sum, &expected).await);
        wrong.extend(slow.is_unbounded().then(|| format!("a script took {:?}", slow.worst)));
        Report { row: self.name, account: &sum, slow: &slow, took: self.started.elapsed(), wrong: &wrong }.publish();
        assert!(wrong.is_empty(), "{}: {}\n{:#?}\n{:#?}", self.name, wrong.join("; "), sum, self.stats().await);
        sum
    }

    fn is_unwritten(&self, entry: &Entry) -> bool {
        self.unwritten.iter().any(|moment| moment.contains(&entry.at))
    }

    /// What the queue says of itself, against the journals and against its keys.
    async fn audit(&self, sum: &Account, expected: &Expected) -> Vec<String> {
        let audit = self.queues.audit(&self.queue).await.unwrap();
        let tasks = u64::try_from(sum.attempted - sum.lost).unwrap();
        let mut wrong = Vec::new();
        if !audit.is_balanced() {
            wrong.push(format!("out of balance: {audit:?}"));
        }
        if audit.created != tasks && !expected.server_forgets && self.unwritten.is_empty() {
            wrong.push(format!("{} tasks created, {tasks} by the journals", audit.created));
        }
        let records = self.size("HLEN", "tasks").await;
        if records != audit.dead {
            wrong.push(format!("{records} records for {} dead letters", audit.dead));
        }
        for (command, name) in [("ZCARD", "lease"), ("HLEN", "own"), ("HLEN", "orders"), ("HLEN", "crash")] {
            let (left, allowed) = (self.size(command, name).await, if name == "crash" { audit.dead } else { 0 });
            if left > allowed {
                wrong.push(format!("{left} entries left in {name}"));
            }
        }
        wrong
    }

    async fn size(&self, command: &'static str, name: &str) -> u64 {
        let key = format!("{{{PREFIX}{}:queue}}:{name}", self.queue);
        self.service.execute("chaos.look", Command::new(command).key(key)).await.unwrap().as_u64().unwrap()
    }

    async fn dead_letters(&self) -> HashSet<TaskId> {
        let (mut ids, mut cursor) = (HashSet::new(), None);
        loop {
            let page = self.queues.dead_letters(&self.queue, cursor, MAX_BATCH).await.unwrap();
            ids.extend(page.iter().map(|letter| letter.status.id));
            let Some(last) = page.last() else { return ids };
            let died_at = last.status.finished_at.unwrap();
            cursor = Some(DeadCursor { died_at, id: last.status.id });
        }
    }
}

/// What the journals alone show.
fn journals(sum: &Account, dead: usize, expected: &Expected) -> Vec<String> {
    let forgets = expected.server_forgets;
    let rules = [
        (sum.lost > 0 && !forgets, format!("{} acknowledged tasks are lost", sum.lost)),
        (sum.unexpected > 0, format!("{} tasks came from nowhere", sum.unexpected)),
        (sum.unexplained > 0 && !forgets, format!("{} runs too many without a lost lease", sum.unexplained)),
        (sum.ended_twice > 0 && !forgets, format!("{} tasks ended twice", sum.ended_twice)),
        (dead != expected.dead, format!("{dead} dead letters instead of {}", expected.dead)),
    ];
    rules.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, what)| what).collect()
}
