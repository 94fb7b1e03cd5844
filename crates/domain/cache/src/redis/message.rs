//! The messages of the channel: `<source> <number> <what> <version> <namespace> <key>`.
//!
//! Every process numbers its messages one by one, also those of changes that were refused (`-`), so that whoever listens
//! notices a missing one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{CacheSignal, EntryKey, Tag};

/// Numbers the messages of this process.
#[derive(Debug)]
pub(super) struct Source {
    id: u64,
    last: AtomicU64,
}

/// A message about to be sent by a script: what stands before and after the version, and what is said when nothing happens.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) head: String,
    pub(super) tail: String,
    pub(super) nothing: String,
}

/// A message that came.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    pub(super) source: u64,
    pub(super) number: u64,
    /// What it says; `None` when nothing happened, or for a mark of another process.
    pub(super) signal: Option<CacheSignal>,
}

// === impl Source ===

impl Source {
    pub(super) fn random() -> Self {
        Self { id: rand::random(), last: AtomicU64::new(0) }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn changed(&self, key: &EntryKey) -> Announcement {
        self.announce('c', &format!(" {} {}", key.namespace, key.key))
    }

    pub(super) fn released(&self, key: &EntryKey) -> Announcement {
        self.announce('r', &format!("0 {} {}", key.namespace, key.key))
    }

    pub(super) fn tag(&self, tag: &Tag) -> Announcement {
        self.announce('t', &format!(" - {tag}"))
    }

    pub(super) fn mark(&self, mark: u64) -> String {
        let said = self.announce('m', "");
        format!("{}{mark} - -", said.head)
    }

    fn announce(&self, what: char, tail: &str) -> Announcement {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let head = format!("{:x} {number} {what} ", self.id);
        let nothing = format!("{:x} {number} - 0 - -", self.id);
        Announcement { head, tail: tail.to_owned(), nothing }
    }
}

// === impl Message ===

impl Message {
    /// Reads a message; `None` when it is none of this version.
    pub(super) fn read(payload: &[u8], me: u64) -> Option<Self> {
        let mut words = std::str::from_utf8(payload).ok()?.splitn(6, ' ');
        let mut next = || words.next();
        let source = u64::from_str_radix(next()?, 16).ok()?;
        let number = next()?.parse().ok()?;
        let (what, version, namespace, key) = (next()?, next()?.parse().ok()?, next()?, next()?);
        let signal = match what {
            "c" => Some(CacheSignal::Changed { namespace: namespace.parse().ok()?, key: Arc::from(key), version }),
            "r" => Some(CacheSignal::Released { namespace: namespace.parse().ok()?, key: Arc::from(key) }),
            "t" => Some(CacheSignal::Tag { tag: key.parse().ok()?, version }),
            "m" if source == me => Some(CacheSignal::Mark(version)),
            _ => None,
        };
        Some(Self { source, number, signal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyLayout;

    #[test]
    fn a_message_is_read_as_it_was_sent_and_numbers_go_on() {
        let source = Source::random();
        let namespace = "page".parse().unwrap();
        let key = EntryKey::new(&namespace, &KeyLayout::of(&namespace), "a b").unwrap();
        let said = source.changed(&key);
        let message = Message::read(format!("{}17{}", said.head, said.tail).as_bytes(), 0).unwrap();
        assert_eq!((message.source, message.number), (source.id(), 1));
        assert_eq!(message.signal, Some(CacheSignal::Changed { namespace, key: "a b".into(), version: 17 }));
        assert_eq!(Message::read(said.nothing.as_bytes(), 0).unwrap().signal, None);
        let mark = source.mark(9);
        assert_eq!(Message::read(mark.as_bytes(), source.id()).unwrap().signal, Some(CacheSignal::Mark(9)));
        assert_eq!(
            Message::read(mark.as_bytes(), 1).unwrap(),
            Message { source: source.id(), number: 2, signal: None }
        );
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        for payload in [&b""[..], b"zz 1 c 2 a b", b"1 x c 2 a b", b"1 2 c 3 a", b"\xff", b"1 2 c 3 a:b key"] {
            assert_eq!(Message::read(payload, 0), None, "{payload:?}");
        }
    }
}
