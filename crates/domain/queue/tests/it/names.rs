//! Names that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};

use trackside_core::QueueName;

/// A queue of one test: unique in this process, and apart from other processes by its id.
pub(crate) fn unique_queue() -> QueueName {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("q-{}-{next}", std::process::id()).parse().unwrap()
}
