//! When something is wrong with a namespace, and when it is well again.

use std::time::Duration;

use super::meter::Sample;
use crate::{Bounds, CacheAlertRule, manager::stats::percentile};

/// How far above its bound a hit ratio is well again, where there is room for that.
const WELL_ABOVE: f64 = 0.05;

/// What a rule looks at.
pub(super) struct Look {
    pub(super) rule: CacheAlertRule,
    pub(super) value: f64,
    pub(super) threshold: f64,
    /// Whether it holds for one that does not fire, and for one that does.
    pub(super) holds: [bool; 2],
}

/// The rules that have a bound; one that has too little to look at holds in no case.
pub(super) fn looks(bounds: &Bounds, lately: &Sample) -> Vec<Look> {
    let mut looks = Vec::new();
    if let Some(below) = bounds.hit_ratio_below {
        let reads = lately.hits + lately.misses;
        let ratio = if reads == 0 { 1.0 } else { number(lately.hits) / number(reads) };
        let counts = reads >= bounds.hit_ratio_reads;
        let clear = (below + WELL_ABOVE).min(f64::midpoint(below, 1.0));
        let holds = [counts && ratio < below, counts && ratio < clear];
        looks.push(Look { rule: CacheAlertRule::HitRatio, value: ratio, threshold: below, holds });
    }
    if let Some(above) = bounds.latency_above {
        let p99 = percentile(&lately.store_times, 99).unwrap_or_default();
        let counts = lately.store_times.iter().sum::<u64>() >= bounds.latency_calls;
        let holds = [counts && p99 > above, counts && p99 > above / 2];
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        looks.push(Look { rule: CacheAlertRule::Latency, value: millis(p99), threshold: millis(above), holds });
    }
    looks
}

#[expect(clippy::cast_precision_loss, reason = "a count of reads in a minute")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::stats::TimeCounts;

    fn sample(hits: u64, misses: u64, slow: u64) -> Sample {
        let mut store_times = TimeCounts::default();
        // 64 to 128 µs, and 131 to 262 ms.
        (store_times[6], store_times[17]) = (hits, slow);
        Sample { hits, misses, store_times }
    }

    /// The rules that begin to hold, and those that would go on.
    fn hold(lately: &Sample) -> [Vec<CacheAlertRule>; 2] {
        [0, 1].map(|firing: usize| {
            let looks = looks(&Bounds::default(), lately).into_iter();
            looks.filter(|look| look.holds[firing]).map(|look| look.rule).collect()
        })
    }

    #[test]
    fn a_hit_ratio_alerts_below_one_bound_and_is_well_again_above_another() {
        let ratio = CacheAlertRule::HitRatio;
        assert_eq!(hold(&sample(199, 801, 0)), [vec![ratio], vec![ratio]]);
        assert_eq!(hold(&sample(200, 800, 0)), [vec![], vec![ratio]], "it swings about the bound");
        assert_eq!(hold(&sample(250, 750, 0)), [vec![], vec![]]);
        assert_eq!(hold(&sample(0, 999, 0)), [vec![], vec![]], "few reads say nothing");
        let near_one = Bounds { hit_ratio_below: Some(0.98), ..Bounds::default() };
        assert!(!looks(&near_one, &sample(9_950, 50, 0))[0].holds[1], "it could never be well again");
    }

    #[test]
    fn a_store_alerts_when_one_of_a_hundred_calls_takes_too_long() {
        let latency = CacheAlertRule::Latency;
        assert_eq!(hold(&sample(1_000, 0, 10)), [vec![], vec![]]);
        assert_eq!(hold(&sample(1_000, 0, 11)), [vec![latency], vec![latency]]);
        assert_eq!(hold(&sample(50, 0, 49)), [vec![], vec![]], "few calls say nothing");
        let off = Bounds { latency_above: None, hit_ratio_below: None, ..Bounds::default() };
        assert!(looks(&off, &sample(1, 9_000, 9_000)).is_empty());
    }
}
