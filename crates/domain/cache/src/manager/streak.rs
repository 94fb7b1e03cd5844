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
    /// Something was found. Races lose a count at most.
    pub(super) fn found(&self) {
        let length = self.0.load(Ordering::Relaxed);
        if length < LONG {
            self.0.store(length + 1, Ordering::Relaxed);
        }
    }

    /// Something was not.
    pub(super) fn missed(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LONG
    }
}
