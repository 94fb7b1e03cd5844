//! The repair: tasks that are in no place get one, and places that name no task are cleared.

use std::{fmt, str::FromStr};

/// Where a repair goes on. What the numbers mean is the store's affair.
///
/// ```
/// use trackside_queue::RepairCursor;
/// let cursor: RepairCursor = "1.512".parse()?;
/// assert_eq!(cursor, RepairCursor { part: 1, position: 512 });
/// assert_eq!(cursor.to_string(), "1.512");
/// # Ok::<(), trackside_queue::InvalidCursor>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairCursor {
    /// Which of its parts.
    pub part: u8,
    /// Where in it.
    pub position: u64,
}

/// Not a cursor that a repair handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a repair handed out")]
pub struct InvalidCursor;

/// What one call of a repair did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairPage {
    /// Tasks, and entries of places, that it looked at.
    pub looked_at: u64,
    /// What it put right among them: tasks that got a place again, and entries that named no task.
    pub repaired: u64,
    /// Where the next call goes on; `None` after the last one.
    pub next: Option<RepairCursor>,
}

// === impl RepairCursor ===

impl fmt::Display for RepairCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.part, self.position)
    }
}

impl FromStr for RepairCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (part, position) = text.split_once('.').ok_or(InvalidCursor)?;
        let (part, position) = (part.parse().ok(), position.parse().ok());
        part.zip(position).map(|(part, position)| Self { part, position }).ok_or(InvalidCursor)
    }
}
