//! The crash matrix: real worker processes and a real server, killed, frozen, cut off and filled up.
//!
//! Each row is a test. Its processes write journals (`journal.rs`), which are added up at the end (`checker.rs`):
//!
//! - `attempted`, `acknowledged`: tasks that a producer tried to enqueue, and those that it was told are safe;
//! - `lost`: acknowledged and neither run nor a dead letter: 0, except what only a dead server had: a primary whose
//!   replica was behind, or one with `appendfsync everysec` that was killed before it had written its last answers;
//! - `duplicated`: runs beyond the first of a task; every one of them needs a lease that is known to be lost;
//! - `recovered`: run although the enqueue was never acknowledged; `unexpected`: run and never enqueued: always 0.
//!
//! Then the queue's own counts must balance, nothing may be left behind in its keys, and no script may have run for
//! long (`verdict.rs`). `cargo xtask test` runs the short pass, `cargo xtask chaos` the long one, with a table.

#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the row, also in its helpers")]

mod chains;
mod checker;
mod journal;
mod process;
mod producer;
mod report;
mod row;
mod verdict;
mod worker;

#[cfg(target_os = "linux")]
mod clocks;
mod failover;
mod frozen;
mod network;
mod server_kills;
mod volumes;
mod worker_kills;
