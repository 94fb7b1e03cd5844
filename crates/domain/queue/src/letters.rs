//! Dead letters: what they tell, which of them are meant, and where a page of them ends.

use bytes::Bytes;
use trackside_core::{TaskId, Timestamp, UserId};

use crate::TaskStatus;

/// Where a page of dead letters ended: the time and id of its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadCursor {
    /// When the last one of the page died.
    pub died_at: Timestamp,
    /// Its id.
    pub id: TaskId,
}

/// A task that will not be tried again unless somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its status; `error` is the reason, `history` what led to it.
    pub status: TaskStatus,
    /// Its original payload.
    pub payload: Bytes,
    /// How often a worker died while holding it.
    pub crashes: u32,
}

/// A dead letter that is to be requeued or purged.
///
/// ```
/// use trackside_core::{QueueName, TaskId};
/// use trackside_queue::DeadRef;
/// let queue: QueueName = "exports".parse()?;
/// let id = TaskId::generate(&queue);
/// assert_eq!(DeadRef::from(id), DeadRef { id, died_at: None });
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadRef {
    /// Its id.
    pub id: TaskId,
    /// When it died, for whoever decided by what the letter said: one that was requeued and died anew is another
    /// letter, and is left alone.
    pub died_at: Option<Timestamp>,
}

/// An attempt that failed, or a lease that ended unsettled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// Which attempt it was, from 1; a crash is not counted, so that the next one has the same number.
    pub attempt: u32,
    /// When it was handed out.
    pub started_at: Timestamp,
    /// When it was known to have failed.
    pub ended_at: Timestamp,
    /// Who made it.
    pub worker_id: String,
    /// Why it failed: the first 256 bytes.
    pub error: String,
}

/// Which dead letters are meant: those for which everything that is said holds. Nothing said means all.
///
/// ```
/// use trackside_queue::DeadFilter;
/// let filter = DeadFilter { kind: Some("mail.send".into()), ..DeadFilter::default() };
/// assert!(!filter.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this user.
    pub user_id: Option<UserId>,
    /// Of this tenant.
    pub tenant_id: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this text in the reason; small and capital letters are the same.
    pub reason: Option<String>,
    /// That died after this moment.
    pub died_after: Option<Timestamp>,
    /// That died before this moment.
    pub died_before: Option<Timestamp>,
}

/// A page of the dead letters that a filter means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadPage {
    /// Newest first.
    pub letters: Vec<DeadLetter>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<DeadCursor>,
}

/// What became of a page of dead letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Letters that were requeued or purged.
    pub done: usize,
    /// Where to go on; `None` when no more are meant.
    pub next: Option<DeadCursor>,
}

/// Past attempts that are kept of a task, the latest ones.
pub(crate) const MAX_HISTORY: usize = 10;

// === impl DeadLetter ===

impl DeadLetter {
    /// Where a page that ends with this letter ends.
    #[must_use]
    pub fn cursor(&self) -> DeadCursor {
        DeadCursor { died_at: self.status.finished_at.unwrap_or(self.status.enqueued_at), id: self.status.id }
    }
}

// === impl DeadRef ===

impl From<TaskId> for DeadRef {
    fn from(id: TaskId) -> Self {
        Self { id, died_at: None }
    }
}

impl From<DeadCursor> for DeadRef {
    fn from(letter: DeadCursor) -> Self {
        Self { id: letter.id, died_at: Some(letter.died_at) }
    }
}

impl DeadRef {
    /// Whether it means the letter that died at this time.
    pub(crate) fn means(&self, died_at: Timestamp) -> bool {
        self.died_at.is_none_or(|meant| meant == died_at)
    }
}

// === impl DeadFilter ===

impl DeadFilter {
    /// True when nothing is said, so that every letter is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the letter is meant.
    #[must_use]
    pub fn means(&self, letter: &DeadLetter) -> bool {
        let status = &letter.status;
        let died_at = letter.cursor().died_at;
        self.kind.as_ref().is_none_or(|kind| *kind == status.kind)
            && self.user_id.as_ref().is_none_or(|user| status.user_id.as_ref() == Some(user))
            && self.tenant_id.as_ref().is_none_or(|tenant| status.tenant_id.as_ref() == Some(tenant))
            && self.tag.as_ref().is_none_or(|tag| status.tags.contains(tag))
            && self.reason.as_deref().is_none_or(|text| contains(status.error.as_deref().unwrap_or_default(), text))
            && self.died_after.is_none_or(|after| died_at > after)
            && self.died_before.is_none_or(|before| died_at < before)
    }

    /// True when neither the letter nor an older one is meant.
    pub(crate) fn is_past(&self, letter: &DeadLetter) -> bool {
        self.died_after.is_some_and(|after| letter.cursor().died_at <= after)
    }
}

fn contains(reason: &str, text: &str) -> bool {
    reason.to_lowercase().contains(&text.to_lowercase())
}
