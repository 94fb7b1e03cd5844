//! Slots and their neighbours: cron expressions across changes of the clock, and intervals.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::CatchUp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(expression: &str, timezone: &str) -> Calendar {
    Calendar::of(&When::Cron { expression: expression.into(), timezone: timezone.into() }).unwrap()
}

fn every(interval: Duration) -> Calendar {
    Calendar::of(&When::Every { interval }).unwrap()
}

fn slots(calendar: &Calendar, after: &str, count: usize) -> Vec<String> {
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        last = calendar.next_after(last).unwrap();
        found.push(last.to_string().replace(".000Z", "Z"));
    }
    found
}

fn refused(when: &When) -> (&'static str, String) {
    match Calendar::of(when).unwrap_err() {
        Error::InvalidSchedule { field, reason } => (field, reason),
        other => panic!("{other}"),
    }
}

fn schedule(when: When, jitter: Duration) -> Schedule {
    let schedule = Schedule::new("s".parse().unwrap(), "q".parse().unwrap(), when, "k", "{}");
    Schedule { jitter, catch_up: CatchUp::All { max: NonZeroU32::MIN }, ..schedule }
}

#[test]
fn a_crontab_line_is_read_as_cron_reads_it() {
    let nightly = cron("30 2 * * *", "UTC");
    assert_eq!(slots(&nightly, "2026-01-01T02:30:00Z", 2), ["2026-01-02T02:30:00Z", "2026-01-03T02:30:00Z"]);
    let workdays = cron("0 9 * * MON-FRI", "UTC");
    assert_eq!(slots(&workdays, "2026-01-02T09:00:00Z", 2), ["2026-01-05T09:00:00Z", "2026-01-06T09:00:00Z"]);
    // Both the day of the month and the weekday said: either will do.
    let either = cron("0 0 13 * FRI", "UTC");
    assert_eq!(slots(&either, "2026-01-09T00:00:00Z", 2), ["2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"]);
    let leap = cron("0 0 29 2 *", "UTC");
    assert_eq!(slots(&leap, "2026-01-01T00:00:00Z", 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    let seconds = cron("*/20 * * * * *", "UTC");
    assert_eq!(slots(&seconds, "2026-01-01T00:00:00.500Z", 2), ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]);
    assert_eq!(slots(&cron("@daily", "UTC"), "2026-01-01T00:00:00Z", 1), ["2026-01-02T00:00:00Z"]);
}

#[test]
fn a_time_of_day_follows_its_time_zone_through_the_year() {
    let morning = cron("0 6 * * *", "America/New_York");
    assert_eq!(slots(&morning, "2026-01-10T12:00:00Z", 1), ["2026-01-11T11:00:00Z"]);
    assert_eq!(slots(&morning, "2026-07-10T12:00:00Z", 1), ["2026-07-11T10:00:00Z"]);
}

#[test]
fn a_time_that_does_not_exist_is_the_first_one_after_the_gap() {
    // Clocks in Berlin went from 02:00 to 03:00 on 2026-03-29 (01:00Z).
    let nightly = cron("30 2 * * *", "Europe/Berlin");
    let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(slots(&nightly, "2026-03-27T12:00:00Z", 3), expected);
}

#[test]
fn a_time_that_exists_twice_counts_once_and_steps_go_on_evenly() {
    // Clocks in Berlin go from 03:00 to 02:00 on 2026-10-25 (01:00Z).
    let nightly = cron("30 2 * * *", "Europe/Berlin");
    let expected = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(slots(&nightly, "2026-10-23T12:00:00Z", 3), expected);
    let steps = cron("*/30 * * * *", "Europe/Berlin");
    let expected = ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
    assert_eq!(slots(&steps, "2026-10-24T23:59:00Z", 4), expected);
    let steps = cron("*/30 * * * *", "Europe/Berlin");
    let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(slots(&steps, "2026-03-29T00:00:00Z", 3), expected);
}

#[test]
fn intervals_are_multiples_since_1970_and_do_not_drift() {
    let pulse = every(Duration::from_secs(90));
    assert_eq!(slots(&pulse, "2026-01-01T00:00:01.234Z", 2), ["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"]);
    assert_eq!(slots(&pulse, "2026-01-01T00:01:30Z", 1), ["2026-01-01T00:03:00Z"], "the next one is another one");
}

#[test]
fn what_never_comes_or_cannot_be_read_is_refused_with_its_field() {
    let cron =
        |expression: &str, timezone: &str| When::Cron { expression: expression.into(), timezone: timezone.into() };
    for bad in ["", "* * * *", "61 * * * *", "every day", "0 0 30 2 *", "* * * * * * 2030", &"0,".repeat(200)] {
        assert_eq!(refused(&cron(bad, "UTC")).0, "cron", "{bad}");
    }
    assert_eq!(refused(&cron("* * * * *", "Berlin")).0, "timezone");
    for bad in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(400 * 24 * 60 * 60)] {
        assert_eq!(refused(&When::Every { interval: bad }).0, "every_ms");
    }
}

#[test]
fn of_the_slots_that_passed_the_newest_are_taken_in_their_order() {
    let when = When::Every { interval: Duration::from_secs(60) };
    let (calendar, schedule) = (Calendar::of(&when).unwrap(), schedule(when, Duration::ZERO));
    let (first, now) = (at("2026-01-01T00:01:00Z"), at("2026-01-01T10:00:30Z"));
    let due = calendar.due(&schedule, first, now, 3).unwrap();
    assert_eq!(due.slots, [at("2026-01-01T09:58:00Z"), at("2026-01-01T09:59:00Z"), at("2026-01-01T10:00:00Z")]);
    assert_eq!(due.next, at("2026-01-01T10:01:00Z"));
    let due = calendar.due(&schedule, at("2026-01-01T10:00:00Z"), now, 3).unwrap();
    assert_eq!(due.slots, [at("2026-01-01T10:00:00Z")], "none before the first");
    let due = calendar.due(&schedule, at("2026-01-01T10:01:00Z"), now, 3).unwrap();
    assert_eq!((due.slots.len(), due.next), (0, at("2026-01-01T10:01:00Z")));
}

#[test]
fn a_year_of_seconds_is_caught_up_with_without_counting_them() {
    let when = When::Cron { expression: "* * * * * *".into(), timezone: "Europe/Berlin".into() };
    let (calendar, schedule) = (Calendar::of(&when).unwrap(), schedule(when, Duration::ZERO));
    let due = calendar.due(&schedule, at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:00.7Z"), 2).unwrap();
    assert_eq!(due.slots, [at("2025-12-31T23:59:59Z"), at("2026-01-01T00:00:00Z")]);
    assert_eq!(due.next, at("2026-01-01T00:00:01Z"));
}

const EXPRESSIONS: &[&str] = &[
    "30 2 * * *",
    "*/10 * * * *",
    "0 */3 * * *",
    "15 1,2,3 * * *",
    "0 0 * * *",
    "5 2 * * SUN",
    "0 0 1 * *",
    "*/7 2 * * *",
    "0 2 29 3 *",
    "20,50 * * * *",
    "10 20 1-3 * * *",
];
const ZONES: &[&str] =
    &["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"];

fn whens() -> impl Strategy<Value = When> {
    let cron = (proptest::sample::select(EXPRESSIONS), proptest::sample::select(ZONES))
        .prop_map(|(expression, zone)| When::Cron { expression: expression.into(), timezone: zone.into() });
    let every = (100_u64..100_000_000).prop_map(|ms| When::Every { interval: Duration::from_millis(ms) });
    prop_oneof![3 => cron, 1 => every]
}

proptest! {
    /// Around both changes of the clock in 2026 and anywhere else: looking back finds what looking ahead found.
    #[test]
    fn looking_back_finds_the_slots_that_looking_ahead_found(
        when in whens(),
        from in prop_oneof![1_774_500_000_000_u64..1_774_900_000_000, 1_792_700_000_000_u64..1_793_000_000_000, 1_767_225_600_000_u64..1_798_761_600_000],
    ) {
        let calendar = Calendar::of(&when).unwrap();
        let mut slot = calendar.next_after(Timestamp::from_millis(from)).unwrap();
        for _ in 0..30 {
            let next = calendar.next_after(slot).unwrap();
            prop_assert!(next > slot);
            prop_assert_eq!(calendar.last_until(slot), Some(slot), "{:?}: on the slot", when);
            prop_assert_eq!(calendar.last_until(Timestamp::from_millis(next.as_millis() - 1)), Some(slot), "{:?}: before {}", when, next);
            slot = next;
        }
    }

    /// However the looks fall, every slot is due exactly once, and not before its jitter has passed.
    #[test]
    fn every_slot_is_due_once_whatever_the_jitter(when in whens(), jitter_ms in 0_u64..100_000_000, looks in proptest::collection::vec(0_u64..100_000_000, 1..20)) {
        let (calendar, schedule) = (Calendar::of(&when).unwrap(), schedule(when, Duration::from_millis(jitter_ms)));
        let mut now = at("2026-03-28T00:00:00Z");
        let mut first = calendar.next_after(now).unwrap();
        for look in looks {
            now = now.plus(Duration::from_millis(look));
            let due = calendar.due(&schedule, first, now, 5).unwrap();
            prop_assert!(firing::run_at(&schedule, due.next) > now);
            if let Some(newest) = due.slots.back() {
                prop_assert_eq!(calendar.next_after(*newest), Some(due.next));
                prop_assert!(firing::run_at(&schedule, *newest) <= now);
                prop_assert!(due.slots[0] >= first);
                prop_assert!(due.slots.len() == 5 || due.slots[0] == first, "one was left out");
            } else {
                prop_assert_eq!(due.next, first);
            }
            first = due.next;
        }
    }
}

#[test]
fn a_list_with_nothing_in_it_is_refused_at_once() {
    for expression in [", * * * * *", "0 , * * *", "0 0 1, * *", "0 0 ,1 * *", "0 0 1,,2 * *"] {
        let when = When::Cron { expression: expression.to_owned(), timezone: "UTC".to_owned() };
        assert!(Calendar::of(&when).is_err(), "{expression}");
    }
}
