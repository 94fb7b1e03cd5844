//! Four processes read and write the same keys while subscriptions are killed, the server forgets everything, and its primary
//! dies and is replaced: no read answers a value that is older than the bound of its namespace.
//!
//! Each process writes down what it did and when (`journal.rs`), and at the end every answer is held against all that was
//! written. `cargo xtask test` runs the short pass; `cargo xtask stale` the long one, of a million reads and writes.

#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, also in its helpers")]

mod bed;
mod journal;
mod process;

use std::time::{Duration, Instant};

use crate::{
    bed::Bed,
    journal::{Event, Outage, judge},
    process::{Process, Role},
};

/// How far behind an answer may be.
const BOUND: Duration = Duration::from_millis(800);
/// Keys have one writer each.
const PROCESSES: usize = 4;
/// What a busy machine may need; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(100);

#[tokio::test]
async fn no_read_of_four_processes_answers_anything_older_than_its_bound() {
    if let Some(role) = Role::of_this_process() {
        return role.play().await;
    }
    let is_long = std::env::var("TRACKSIDE_STALE").is_ok_and(|pass| pass == "long");
    let (operations, rounds) = if is_long { (1_000_000, 400) } else { (40_000, 20) };
    let began = Instant::now();
    let mut bed = Bed::start().await;
    let mut processes: Vec<Process> =
        (0..PROCESSES).map(|index| bed.role(index, operations / PROCESSES).spawn()).collect();
    let mut outage = None;
    for round in 0..rounds {
        if round == rounds / 2 {
            outage = Some(bed.fail_over(PROCESSES).await);
        }
        bed.disturb(round).await;
    }
    bed.say("enough");
    for process in &mut processes {
        assert!(process.ended().await, "a process failed; what it said is above");
    }
    let events = bed.journals();
    let sum = judge(&events, &outage.unwrap(), BOUND);
    println!("{sum}; {rounds} disturbances, 1 failover, {:.0} s", began.elapsed().as_secs_f64());
    assert!(sum.operations >= operations, "{sum}");
    assert!(sum.answers > operations / 4 && sum.from_copies > operations / 10, "nothing was put to the test: {sum}");
    assert!(sum.remembered > 0, "nothing was written while the primary was away: {sum}");
    assert!(sum.stale.is_empty(), "{sum}");
}

#[test]
fn an_answer_that_is_too_old_is_found() {
    let key = || "k".to_owned();
    let (bound, outage) = (Duration::from_micros(100), Outage { from: 5_000, until: 6_000 });
    let write = |value, at| Event::Wrote { process: 0, key: key(), value, kind: 's', at, is_remembered: false };
    let read = |value, at| Event::Read { process: 1, key: key(), value, at };
    let slack = u64::try_from(journal::SLACK.as_micros()).unwrap();
    let stale = |events: &[Event]| judge(events, &outage, bound).stale.len();
    assert_eq!(stale(&[write(1, 10), write(2, 20), read(1, 120 + slack)]), 0);
    assert_eq!(stale(&[write(1, 10), write(2, 20), read(1, 121 + slack)]), 1);
    assert_eq!(stale(&[write(1, 10), write(2, 20), read(2, 9_000_000)]), 0);
    // One that is only remembered counts for its process at once, and for others when it is written.
    let remembered = Event::Wrote { process: 0, key: key(), value: 3, kind: 's', at: 30, is_remembered: true };
    let flushed = Event::Flushed { process: 0, at: 1_000_000 };
    let later = 131 + slack;
    assert_eq!(stale(&[write(2, 20), remembered.clone(), read(2, later), flushed.clone()]), 0);
    assert_eq!(stale(&[write(2, 20), remembered.clone(), read(2, later + 1_000_000), flushed]), 1);
    let own = Event::Read { process: 0, key: key(), value: 2, at: later };
    assert_eq!(stale(&[write(2, 20), remembered, own]), 1);
}
