//! Whether what is asked of a store is nearly always there: then reading alone is tried before a lease is asked for in the
//! same breath. The command of a plain read costs the server a twentieth of the script that also leases.

use std::sync::atomic::{AtomicU32, Ordering};

/// Finds in a row after which the next one is expected.
const LONG: u32 = 64;

/// How often something was found since something was not.
#[derive(Debug, Default)]
pub(crate) struct Streak(AtomicU32);

// === impl Streak ===

impl Streak {
    /// Something was found, or was not. Races lose a count at most.
    pub(super) fn note(&self, is_found: bool) {
        let length = self.0.load(Ordering::Relaxed);
        let next = if is_found { length.saturating_add(1).min(LONG) } else { 0 };
        if next != length {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    pub(super) fn is_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LONG
    }
}
