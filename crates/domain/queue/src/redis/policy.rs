//! How the limits of a queue are written in the field `policy` of its state, where scripts read them in one pattern.
//!
//! Each limit is a letter and whole numbers; the field is there only while there is a limit. Letters that a version does
//! not know are passed over.
//!
//! | letter | numbers |
//! |---|---|
//! | `d` `b` | most tasks, most bytes |
//! | `a` `A` | tasks under lease at once: of the queue, of each tenant |
//! | `r` `R` | count, period in milliseconds, and burst where it is not the count: of the queue, of each tenant |
//! | `f` | tasks in a turn |
//! | `g` | age in milliseconds |

use std::{fmt::Write, num::NonZeroU32, time::Duration};

use crate::{QueuePolicy, Rate, limits};

/// The policy as scripts read it; empty when nothing is limited.
pub(super) fn write(policy: &QueuePolicy) -> String {
    let mut text = String::new();
    // The numbers as far as they are said.
    let mut put = |letter: char, numbers: &[Option<u64>]| {
        let said: Vec<String> = numbers.iter().map_while(|number| number.map(|number| number.to_string())).collect();
        if !said.is_empty() {
            // Writing to a String cannot fail.
            let _written = write!(text, "{letter}{}", said.join(","));
        }
    };
    let number = |number: Option<NonZeroU32>| number.map(|number| u64::from(number.get()));
    let rate = |rate: Option<Rate>| {
        let per = rate.map(|rate| limits::millis(rate.per));
        [number(rate.map(|rate| rate.count)), per, number(rate.and_then(|rate| rate.burst))]
    };
    put('d', &[policy.max_depth]);
    put('b', &[policy.max_bytes]);
    put('a', &[number(policy.max_active)]);
    put('r', &rate(policy.rate));
    put('A', &[number(policy.tenant_max_active)]);
    put('R', &rate(policy.tenant_rate));
    put('f', &[number(policy.fair)]);
    put('g', &[policy.age_after.map(limits::millis)]);
    text
}

/// A time as it would be written: another program may have put any number there.
fn bounded(millis: u64) -> Duration {
    Duration::from_millis(limits::millis(Duration::from_millis(millis)))
}

/// The policy that the field tells.
pub(super) fn read(text: &str) -> QueuePolicy {
    let mut policy = QueuePolicy::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let numbers = &rest[letter.len_utf8()..];
        let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(numbers.len());
        let (numbers, next) = numbers.split_at(end);
        let numbers: Vec<u64> = numbers.split(',').filter_map(|number| number.parse().ok()).collect();
        let small =
            |at: usize| numbers.get(at).and_then(|number| u32::try_from(*number).ok()).and_then(NonZeroU32::new);
        let rate = || {
            let per = bounded(*numbers.get(1)?);
            let count = small(0)?;
            Some(Rate { count, per, burst: small(2) })
        };
        match letter {
            'd' => policy.max_depth = numbers.first().copied(),
            'b' => policy.max_bytes = numbers.first().copied(),
            'a' => policy.max_active = small(0),
            'r' => policy.rate = rate(),
            'A' => policy.tenant_max_active = small(0),
            'R' => policy.tenant_rate = rate(),
            'f' => policy.fair = small(0),
            'g' => policy.age_after = numbers.first().copied().map(bounded),
            _ => {}
        }
        rest = next;
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_was_written() {
        let few = NonZeroU32::new(7);
        let rate = Rate::new(NonZeroU32::MIN, Duration::from_millis(250));
        let policy = QueuePolicy {
            max_depth: Some(0),
            max_active: few,
            rate: Some(Rate { burst: few, ..rate }),
            tenant_rate: Some(rate),
            age_after: Some(Duration::from_secs(60)),
            ..QueuePolicy::default()
        };
        assert_eq!(write(&policy), "d0a7r1,250,7R1,250g60000");
        assert_eq!(read(&write(&policy)), policy);
        let rest = QueuePolicy { max_bytes: Some(9), tenant_max_active: few, fair: few, ..QueuePolicy::default() };
        assert_eq!(read(&write(&rest)), rest);
        assert_eq!(write(&QueuePolicy::default()), "");
    }

    #[test]
    fn times_beyond_measure_are_read_as_the_longest_that_are_written() {
        for text in ["g55555277777777777", "r1,18446744073709551615", "R1,99999999999999,2"] {
            let policy = read(text);
            assert_eq!(read(&write(&policy)), policy, "{text}");
        }
    }

    #[test]
    fn what_a_version_does_not_know_is_passed_over() {
        let policy = QueuePolicy { max_active: NonZeroU32::new(2), ..QueuePolicy::default() };
        assert_eq!(read("z9,1ä;a2y"), policy);
        assert_eq!(read("a0rxg"), QueuePolicy::default());
    }
}
