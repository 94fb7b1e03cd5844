//! What the processes of a row write down, a line for each thing that happens, each on the disk before they go on.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use trackside_core::{TaskId, Timestamp};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A producer is about to enqueue the task.
    Attempt,
    /// The enqueue was acknowledged.
    Accepted,
    /// A worker was handed the task and has not started it.
    Claimed,
    /// Its handler starts.
    Begin,
    /// Its handler has had its effect.
    Run,
    /// Its handler fails on purpose.
    Fail,
    /// Its handler was dropped before its effect.
    Stopped,
    /// The worker knows that the end of the attempt is recorded.
    Finished,
    /// The worker gave it back.
    Returned,
    /// The worker knows that it lost the lease.
    Lost,
    /// A worker was asked to stop; about no task.
    Draining,
    /// The worker was killed; about no task.
    Killed,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    /// The process, or the process that it is about.
    pub(crate) who: String,
    pub(crate) task: Option<TaskId>,
    /// Of the claim; 0 where there is none.
    pub(crate) fence: u64,
    /// By the clock of this machine.
    pub(crate) at: Timestamp,
}

/// The writing side of one process.
#[derive(Debug)]
pub(crate) struct Journal {
    who: String,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(File),
    /// For rows in which the writing process is never killed, and writes a million lines.
    Memory(Mutex<Vec<Entry>>),
}

/// Every journal of a row, one after the other.
pub(crate) fn read(folder: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().ends_with(".journal") {
            let text = std::fs::read_to_string(file.path()).unwrap();
            entries.extend(text.lines().map(|line| Entry::parse(line).unwrap_or_else(|| panic!("no entry: {line:?}"))));
        }
    }
    entries
}

// === impl Event ===

impl Event {
    const WORDS: [(Self, &str); 12] = [
        (Self::Attempt, "attempt"),
        (Self::Accepted, "accepted"),
        (Self::Claimed, "claimed"),
        (Self::Begin, "begin"),
        (Self::Run, "run"),
        (Self::Fail, "fail"),
        (Self::Stopped, "stopped"),
        (Self::Finished, "finished"),
        (Self::Returned, "returned"),
        (Self::Lost, "lost"),
        (Self::Draining, "draining"),
        (Self::Killed, "killed"),
    ];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(event, _)| *event == self).unwrap().1
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(event, _)| *event)
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn now(event: Event, who: &str, task: Option<TaskId>, fence: u64) -> Self {
        Self { event, who: who.to_owned(), task, fence, at: Timestamp::now() }
    }

    fn line(&self) -> String {
        let task = self.task.map_or_else(|| "-".to_owned(), |task| task.to_string());
        format!("{} {} {task} {} {}\n", self.event.word(), self.who, self.fence, self.at.as_millis())
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (event, who, task) = (Event::parse(words.next()?)?, words.next()?.to_owned(), words.next()?);
        let task = if task == "-" { None } else { Some(task.parse().ok()?) };
        let (fence, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { event, who, task, fence, at: Timestamp::from_millis(at) })
    }
}

// === impl Journal ===

impl Journal {
    /// A file of its own among the journals in `folder`.
    pub(crate) fn open(folder: &Path, who: &str) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(format!("{who}.journal"))).unwrap();
        Self { who: who.to_owned(), sink: Sink::File(file) }
    }

    pub(crate) fn in_memory(who: &str) -> Self {
        Self { who: who.to_owned(), sink: Sink::Memory(Mutex::default()) }
    }

    /// What was written so far by a journal in memory.
    pub(crate) fn taken(&self) -> Vec<Entry> {
        match &self.sink {
            Sink::Memory(entries) => std::mem::take(&mut entries.lock().unwrap()),
            Sink::File(_) => panic!("the entries of a file are read from it"),
        }
    }

    pub(crate) fn write(&self, event: Event, task: TaskId, fence: u64) {
        self.put(vec![Entry::now(event, &self.who, Some(task), fence)]);
    }

    /// One line for each of them, together.
    pub(crate) fn write_all(&self, event: Event, tasks: impl IntoIterator<Item = TaskId>) {
        self.put(tasks.into_iter().map(|task| Entry::now(event, &self.who, Some(task), 0)).collect());
    }

    /// Something about a process.
    pub(crate) fn note(&self, event: Event, who: &str) {
        self.put(vec![Entry::now(event, who, None, 0)]);
    }

    fn put(&self, new: Vec<Entry>) {
        match &self.sink {
            Sink::File(file) => {
                let mut file = file;
                // One write, so that a killed process leaves whole lines.
                let lines: String = new.iter().map(Entry::line).collect();
                file.write_all(lines.as_bytes()).unwrap();
                file.sync_data().unwrap();
            }
            Sink::Memory(entries) => entries.lock().unwrap().extend(new),
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let id = TaskId::generate(&"q".parse().unwrap());
    let (one, two) = (Journal::open(folder.path(), "one"), Journal::open(folder.path(), "two"));
    one.write(Event::Run, id, 7);
    two.note(Event::Killed, "one");
    let mut read: Vec<_> =
        read(folder.path()).into_iter().map(|it| (it.event.word(), it.who, it.task, it.fence)).collect();
    read.sort();
    assert_eq!(read, [("killed", "one".to_owned(), None, 0), ("run", "one".to_owned(), Some(id), 7)]);
}
