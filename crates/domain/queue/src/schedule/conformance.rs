//! The laws of [`ScheduleStore`] as functions, for every implementation of it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use trackside_core::{ScheduleName, TaskId, Timestamp};

use super::{CatchUp, RunLog, Schedule, ScheduleOptions, ScheduleRecord, ScheduleRun, ScheduleStore, Slot, When};
use crate::{Error, Priority, RetryPolicy};

/// A minute that is a hundred times as long as others, and so on: a busy machine cannot reach the times by itself.
const MINUTE: Duration = Duration::from_secs(60 * SLOWLY);
const HOLD: Duration = Duration::from_secs(5 * SLOWLY);
const SLOWLY: u64 = 100;

/// A store of schedules under test, empty at first.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::ManualClock;
/// use trackside_queue::{MemoryScheduleStore, ScheduleStore, conformance::{self, ScheduleHarness}};
///
/// struct InMemory(ManualClock, MemoryScheduleStore);
///
/// #[async_trait::async_trait]
/// impl ScheduleHarness for InMemory {
///     fn store(&self) -> &dyn ScheduleStore { &self.1 }
///     async fn advance(&self, by: Duration) { self.0.advance(by) }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let clock = ManualClock::default();
/// let store = MemoryScheduleStore::new(Arc::new(clock.clone()));
/// conformance::s4_a_claim_says_when_the_next_one_is_due(&InMemory(clock, store)).await?;
/// # Ok::<(), trackside_queue::Error>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait ScheduleHarness: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn ScheduleStore;

    /// Lets time pass on the store's clock.
    async fn advance(&self, by: Duration);
}

/// One test for each law, against the [`ScheduleHarness`] that the expression makes; it is awaited. With `in turn` before
/// it, one future that runs all of them.
///
/// The calling crate needs tokio with its `macros` and `rt` features.
#[macro_export]
macro_rules! schedule_store_conformance {
    ($harness:expr) => {
        $crate::schedule_store_conformance! { @laws each $harness }
    };
    (in turn $harness:expr) => {
        $crate::schedule_store_conformance! { @laws turn $harness }
    };
    (@laws $how:ident $harness:expr) => {
        $crate::schedule_store_conformance! { @$how $harness;
            s1_what_is_written_is_read
            s1_writing_the_same_times_again_keeps_slot_log_and_rest
            s1_other_times_begin_anew
            s2_a_claim_hands_out_what_is_due_and_holds_it
            s2_many_claims_at_once_share_the_schedules
            s2_a_schedule_that_rests_is_not_handed_out
            s3_a_slot_is_taken_once
            s3_a_name_that_comes_back_has_a_new_revision
            s4_a_claim_says_when_the_next_one_is_due
            s5_schedules_are_listed_by_name_page_by_page
            s5_a_removed_schedule_leaves_nothing
        }
    };
    (@turn $harness:expr; $($law:ident)*) => {
        async {
            $($crate::conformance::$law(&$harness.await).await?;)*
            Ok::<(), $crate::Error>(())
        }
    };
    (@each $harness:expr; $($law:ident)*) => {
        $(
            #[tokio::test]
            async fn $law() -> Result<(), $crate::Error> {
                let harness = $harness.await;
                $crate::conformance::$law(&harness).await
            }
        )*
    };
}

/// S-L1.
pub async fn s1_what_is_written_is_read(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    let mut full = schedule("full");
    full.payload = Bytes::from_static(b"{\"text\":\n \"two\\nlines\", \"big\": 12345678901234567890}");
    full.when = When::Cron { expression: "*/5 2 * * MON".into(), timezone: "Europe/Berlin".into() };
    full.catch_up = CatchUp::All { max: std::num::NonZeroU32::MIN };
    full.jitter = Duration::from_millis(1_234);
    full.options = ScheduleOptions {
        priority: Priority::High,
        timeout: Some(MINUTE),
        max_attempts: std::num::NonZeroU32::MIN,
        retry: RetryPolicy::List { delays_ms: vec![1, 2] },
        lease: Some(HOLD),
        user_id: "alice".parse().ok(),
        project_id: Some("p".into()),
        tenant_id: Some("t\u{e4}".into()),
        tags: vec!["a".into(), "b".into()],
    };
    for given in [schedule("plain"), full] {
        let first = slot(now, 60);
        let written = store.put(&given, first).await?;
        assert_eq!(written.schedule, Schedule { paused: Some(false), ..given.clone() });
        assert_eq!((written.slot, written.paused, &written.log), (first.at, false, &RunLog::default()));
        assert!(written.created_at >= now && written.updated_at == written.created_at);
        assert_eq!(store.get(&given.name).await?, Some(written));
    }
    assert_eq!(store.get(&name("other")).await?, None);
    Ok(())
}

/// S-L1.
pub async fn s1_writing_the_same_times_again_keeps_slot_log_and_rest(
    harness: &impl ScheduleHarness,
) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    let first = store.put(&schedule("s"), slot(now, 60)).await?;
    harness.advance(MINUTE).await;
    let claimed = claim_one(store).await?;
    assert!(store.advance(&name("s"), claimed.revision, slot(now, 120), &log(7)).await?);
    harness.advance(MINUTE / 2).await;

    let changed = Schedule { payload: Bytes::from_static(b"[2]"), kind: "other".into(), ..schedule("s") };
    let again = store.put(&changed, slot(now, 999)).await?;
    assert_eq!((again.slot, &again.log), (slot(now, 120).at, &log(7)), "slot and log stay");
    assert_eq!((&again.schedule.payload, again.created_at), (&changed.payload, first.created_at));
    assert!(again.updated_at > first.updated_at);
    assert!(store.claim(10, HOLD).await?.schedules.is_empty(), "it is not due earlier than before");
    harness.advance(MINUTE / 2).await;
    assert_eq!(claim_one(store).await?.schedule.kind, "other", "and not later");

    assert!(store.pause(&name("s")).await?);
    assert!(store.put(&schedule("s"), slot(now, 180)).await?.paused, "it rests on");
    let woken = store.put(&Schedule { paused: Some(false), ..schedule("s") }, slot(now, 240)).await?;
    assert_eq!((woken.paused, woken.slot), (false, slot(now, 240).at));
    let put_to_rest = store.put(&Schedule { paused: Some(true), ..schedule("s") }, slot(now, 300)).await?;
    assert!(put_to_rest.paused && store.get(&name("s")).await?.is_some_and(|record| record.paused));
    assert_eq!(store.claim(10, HOLD).await?.next, None);
    Ok(())
}

/// S-L1.
pub async fn s1_other_times_begin_anew(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    store.put(&schedule("s"), slot(now, 60)).await?;
    let changes = [
        Schedule { when: When::Every { interval: MINUTE * 2 }, ..schedule("s") },
        Schedule { jitter: HOLD, ..schedule("s") },
        Schedule { queue: unwrap("other".parse()), ..schedule("s") },
        schedule("s"),
    ];
    for (changed, at) in changes.iter().zip([61, 62, 63, 64]) {
        let record = store.put(changed, slot(now, at)).await?;
        assert_eq!(record.slot, slot(now, at).at);
        assert_eq!(store.claim(10, HOLD).await?.next, Some(slot(now, at).due));
    }
    Ok(())
}

/// S-L2.
pub async fn s2_a_claim_hands_out_what_is_due_and_holds_it(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    for (name, at) in [("late", 1), ("later", 2), ("due", 60), ("not-yet", 600)] {
        store.put(&schedule(name), slot(now, at)).await?;
    }
    assert!(store.claim(10, HOLD).await?.schedules.is_empty(), "nothing is due at first");
    harness.advance(MINUTE).await;
    let first = store.claim(2, HOLD).await?;
    assert_eq!(names(&first.schedules), ["late", "later"], "the longest overdue first");
    assert_eq!(names(&store.claim(10, HOLD).await?.schedules), ["due"]);
    assert!(store.claim(10, HOLD).await?.schedules.is_empty(), "all of them are held");
    harness.advance(HOLD).await;
    let mut again = store.claim(10, HOLD).await?.schedules;
    again.sort_by_key(|record| record.slot);
    assert_eq!(names(&again), ["late", "later", "due"], "who claimed them did not come back");
    assert_eq!(again[0].slot, first.schedules[0].slot, "the slot is the same");
    assert!(again[0].revision > first.schedules[0].revision);
    Ok(())
}

/// S-L2.
pub async fn s2_many_claims_at_once_share_the_schedules(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    for number in 0..40 {
        store.put(&schedule(&format!("s{number:02}")), slot(now, 1)).await?;
    }
    harness.advance(MINUTE).await;
    let claims = futures::future::join_all((0..10).map(|_| store.claim(7, MINUTE))).await;
    let mut handed_out = Vec::new();
    for claimed in claims {
        handed_out.extend(names(&claimed?.schedules));
    }
    handed_out.sort();
    let all: Vec<String> = (0..40).map(|number| format!("s{number:02}")).collect();
    assert_eq!(handed_out, all, "each to one of them");
    Ok(())
}

/// S-L2.
pub async fn s2_a_schedule_that_rests_is_not_handed_out(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    store.put(&schedule("s"), slot(now, 1)).await?;
    assert!(store.pause(&name("s")).await?);
    assert!(store.pause(&name("s")).await?, "may be repeated");
    assert!(!store.pause(&name("other")).await?);
    harness.advance(MINUTE).await;
    assert!(store.claim(10, HOLD).await?.schedules.is_empty());
    let resting = unwrap_some(store.get(&name("s")).await?);
    assert!(!store.resume(&name("s"), resting.revision - 1, slot(now, 120)).await?, "somebody else was there");
    assert!(store.resume(&name("s"), resting.revision, slot(now, 120)).await?);
    let awake = unwrap_some(store.get(&name("s")).await?);
    assert_eq!((awake.paused, awake.schedule.paused, awake.slot), (false, Some(false), slot(now, 120).at));
    assert!(store.claim(10, HOLD).await?.schedules.is_empty(), "what passed while it rested is gone");
    harness.advance(MINUTE).await;
    assert_eq!(claim_one(store).await?.slot, slot(now, 120).at);
    Ok(())
}

/// S-L3.
pub async fn s3_a_slot_is_taken_once(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    store.put(&schedule("s"), slot(now, 60)).await?;
    harness.advance(MINUTE).await;
    let first = claim_one(store).await?;
    harness.advance(HOLD).await;
    let second = claim_one(store).await?;
    assert!(!store.advance(&name("s"), first.revision, slot(now, 120), &log(1)).await?, "its hold was over");
    assert_eq!(unwrap_some(store.get(&name("s")).await?), second);
    assert!(store.advance(&name("s"), second.revision, slot(now, 180), &log(2)).await?);
    assert!(!store.advance(&name("s"), second.revision, slot(now, 240), &log(3)).await?, "once");
    let record = unwrap_some(store.get(&name("s")).await?);
    assert_eq!((record.slot, &record.log), (slot(now, 180).at, &log(2)));

    let extra = ScheduleRun { task_id: TaskId::generate(&record.schedule.queue), slot: None, at: now };
    store.note_extra_run(&name("s"), &extra).await?;
    store.note_extra_run(&name("other"), &extra).await?;
    let noted = unwrap_some(store.get(&name("s")).await?);
    assert_eq!(noted, ScheduleRecord { extra_run: Some(extra), ..record }, "nothing else changed");
    assert_eq!(store.get(&name("other")).await?, None);
    Ok(())
}

/// S-L3.
pub async fn s3_a_name_that_comes_back_has_a_new_revision(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    store.put(&schedule("s"), slot(now, 1)).await?;
    harness.advance(MINUTE).await;
    let claimed = claim_one(store).await?;
    assert!(store.remove(&name("s")).await?);
    let anew = store.put(&schedule("s"), slot(now, 120)).await?;
    assert!(anew.revision > claimed.revision);
    assert!(!store.advance(&name("s"), claimed.revision, slot(now, 180), &log(1)).await?);
    assert_eq!(store.get(&name("s")).await?, Some(anew));
    Ok(())
}

/// S-L4.
pub async fn s4_a_claim_says_when_the_next_one_is_due(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    assert_eq!(store.claim(10, HOLD).await?.next, None);
    store.put(&schedule("a"), slot(now, 60)).await?;
    store.put(&schedule("b"), slot(now, 61)).await?;
    assert_eq!(store.claim(10, HOLD).await?.next, Some(slot(now, 60).due));
    harness.advance(MINUTE * 2).await;
    let one = store.claim(1, HOLD).await?;
    assert_eq!(one.next, Some(slot(now, 61).due), "more is due than was taken");
    let other = store.claim(1, HOLD).await?;
    assert_eq!(other.next, Some(one.now.plus(HOLD)), "the end of the first hold");
    Ok(())
}

/// S-L5.
pub async fn s5_schedules_are_listed_by_name_page_by_page(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    assert!(store.list(None, 10).await?.is_empty());
    for name in ["b", "a:1", "c", "a"] {
        store.put(&schedule(name), slot(now, 1)).await?;
    }
    store.put(&schedule("b"), slot(now, 1)).await?;
    store.pause(&name("c")).await?;
    assert_eq!(names(&store.list(None, 3).await?), ["a", "a:1", "b"]);
    assert_eq!(names(&store.list(Some(&name("b")), 3).await?), ["c"]);
    assert_eq!(names(&store.list(Some(&name("aa")), 1).await?), ["b"]);
    assert!(matches!(store.list(None, crate::MAX_BATCH + 1).await, Err(Error::BatchTooLarge { .. })));
    Ok(())
}

/// S-L5.
pub async fn s5_a_removed_schedule_leaves_nothing(harness: &impl ScheduleHarness) -> Result<(), Error> {
    let store = harness.store();
    let now = store.now().await?;
    let first = store.put(&schedule("s"), slot(now, 1)).await?;
    assert!(store.remove(&name("s")).await?);
    assert!(!store.remove(&name("s")).await?);
    harness.advance(MINUTE).await;
    assert_eq!(store.get(&name("s")).await?, None);
    assert!(store.list(None, 10).await?.is_empty());
    let claimed = store.claim(10, HOLD).await?;
    assert!(claimed.schedules.is_empty() && claimed.next.is_none());
    assert!(!store.resume(&name("s"), first.revision, slot(now, 1)).await?);
    Ok(())
}

fn schedule(name: &str) -> Schedule {
    let when = When::Every { interval: MINUTE };
    Schedule::new(unwrap(name.parse()), unwrap("law".parse()), when, "law.test", "{}")
}

fn name(text: &str) -> ScheduleName {
    unwrap(text.parse())
}

/// A slot so many long seconds from `now`.
fn slot(now: Timestamp, seconds: u64) -> Slot {
    let at = now.plus(Duration::from_secs(seconds * SLOWLY));
    Slot { at, due: at }
}

fn log(runs: u64) -> RunLog {
    RunLog { runs, slot: Some(Timestamp::from_millis(7)), error: Some("two\nlines".into()), ..RunLog::default() }
}

fn names(records: &[ScheduleRecord]) -> Vec<String> {
    records.iter().map(|record| record.schedule.name.to_string()).collect()
}

/// Claims the only schedule that is due.
async fn claim_one(store: &dyn ScheduleStore) -> Result<ScheduleRecord, Error> {
    let mut claimed = store.claim(10, HOLD).await?.schedules;
    assert_eq!(claimed.len(), 1, "one is due");
    Ok(claimed.remove(0))
}

fn unwrap<T>(name: Result<T, trackside_core::InvalidName>) -> T {
    match name {
        Ok(name) => name,
        Err(invalid) => unreachable!("{invalid}"),
    }
}

fn unwrap_some(record: Option<ScheduleRecord>) -> ScheduleRecord {
    match record {
        Some(record) => record,
        None => unreachable!("the schedule is there"),
    }
}
