//! The watch over the namespaces of this process: what happened in the last minute, whether that is within bounds, and telling.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use trackside_core::Timestamp;

use super::{
    CacheManager, Inner, Space,
    stats::{TimeCounts, percentile},
};
use crate::{Bounds, CacheAlert, CacheAlertNotifier, CacheAlertRule, NamespaceName};

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(60);
/// After a failure, a change is told again after so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Resolved alerts are remembered for a day.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;
/// How far above its bound a hit ratio is well again, where there is room for that.
const WELL_ABOVE: f64 = 0.05;

type Place = (NamespaceName, CacheAlertRule);

/// What is known of alerts, and who is told.
pub(crate) struct Alerts {
    /// What they call this process.
    process: String,
    known: Mutex<BTreeMap<Place, CacheAlert>>,
    notifiers: Mutex<Vec<Arc<dyn CacheAlertNotifier>>>,
}

/// A watch at work.
#[derive(Default)]
struct Watch {
    meters: HashMap<NamespaceName, Meter>,
    /// Those who are being told of the last change of each alert; the one before is of no interest any more.
    telling: HashMap<Place, JoinSet<()>>,
}

/// Samples of the counters of a namespace, oldest first.
#[derive(Debug, Default)]
struct Meter(VecDeque<(Instant, Sample)>);

#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    hits: u64,
    misses: u64,
    store_times: TimeCounts,
}

/// What a rule looks at.
struct Look {
    rule: CacheAlertRule,
    value: f64,
    threshold: f64,
    /// Whether it holds for one that does not fire, and for one that does.
    holds: [bool; 2],
}

// === impl CacheManager ===

impl CacheManager {
    /// Tells `notifier` of every change of an alert of this process, besides the log, while [`run`](Self::run) is going.
    pub fn on_alert(&self, notifier: impl CacheAlertNotifier) {
        lock(&self.inner.alerts.notifiers).push(Arc::new(notifier));
    }

    /// Alerts of this process: those that fire, and those that were resolved within a day.
    #[must_use]
    pub fn alerts(&self) -> Vec<CacheAlert> {
        self.inner.alerts.all(Timestamp::now())
    }
}

// === impl Inner ===

impl Inner {
    pub(super) async fn watch_forever(&self) {
        let mut watch = Watch::default();
        let mut tick = interval(self.config.watch_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            watch.look(&self.alerts, &self.all_spaces());
        }
    }
}

// === impl Watch ===

impl Watch {
    fn look(&mut self, alerts: &Alerts, spaces: &[Arc<Space>]) {
        for space in spaces {
            let meter = self.meters.entry(space.name.clone()).or_default();
            meter.add(Instant::now(), Sample::of(space));
            for look in looks(&space.policy.bounds, &meter.lately()) {
                if let Some(change) = alerts.note(&space.name, &look) {
                    log(&change);
                    let notifiers = lock(&alerts.notifiers).clone();
                    let telling = notifiers.into_iter().map(|notifier| tell(notifier, change.clone())).collect();
                    self.telling.insert((change.namespace, change.rule), telling);
                }
            }
        }
    }
}

/// Tells until it is heard; only the first failure is logged.
async fn tell(notifier: Arc<dyn CacheAlertNotifier>, alert: CacheAlert) {
    let mut is_first = true;
    while let Err(reason) = notifier.notify(&alert).await {
        if std::mem::take(&mut is_first) {
            let (id, name) = (alert.id(), notifier.name());
            tracing::warn!(
                alert.id = id,
                alert.notifier = name,
                reason,
                "an alert could not be told; it will be again"
            );
        }
        sleep(PATIENCE).await;
    }
}

fn log(alert: &CacheAlert) {
    let (namespace, rule, value, message) = (&alert.namespace, alert.rule.as_str(), alert.value, alert.message());
    if alert.is_firing() {
        tracing::warn!(cache.namespace = %namespace, alert.rule = rule, alert.value = value, "{message}");
    } else {
        tracing::info!(cache.namespace = %namespace, alert.rule = rule, alert.value = value, "{message}");
    }
}

/// The rules that have a bound; one that has too little to look at holds in no case.
fn looks(bounds: &Bounds, lately: &Sample) -> Vec<Look> {
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

// === impl Alerts ===

impl Alerts {
    /// Notes what a rule saw; the alert when that changed it.
    fn note(&self, namespace: &NamespaceName, look: &Look) -> Option<CacheAlert> {
        let mut known = lock(&self.known);
        let place = (namespace.clone(), look.rule);
        let firing = known.get(&place).filter(|alert| alert.is_firing());
        let holds = look.holds[usize::from(firing.is_some())];
        if holds == firing.is_some() {
            return None;
        }
        let now = Timestamp::now();
        let alert = CacheAlert {
            process: self.process.clone(),
            namespace: namespace.clone(),
            rule: look.rule,
            since: firing.map_or(now, |alert| alert.since),
            resolved_at: (!holds).then_some(now),
            value: look.value,
            threshold: look.threshold,
        };
        known.insert(place, alert.clone());
        Some(alert)
    }

    pub(crate) fn all(&self, now: Timestamp) -> Vec<CacheAlert> {
        let mut known = lock(&self.known);
        known.retain(|_, alert| alert.resolved_at.is_none_or(|at| now.millis_since(at) < REMEMBERED_MS));
        known.values().cloned().collect()
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let process = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        Self { process, known: Mutex::default(), notifiers: Mutex::default() }
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").field("known", &self.known).finish_non_exhaustive()
    }
}

// === impl Meter ===

impl Meter {
    fn add(&mut self, at: Instant, sample: Sample) {
        self.0.push_back((at, sample));
        while self.0.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// What happened in the window.
    fn lately(&self) -> Sample {
        match (self.0.front(), self.0.back()) {
            (Some((_, first)), Some((_, last))) => last.since(first),
            _ => Sample::default(),
        }
    }
}

// === impl Sample ===

impl Sample {
    fn of(space: &Space) -> Self {
        let stats = &space.stats;
        let hits = stats.local_hits.get() + stats.store_hits.get() + stats.stale.get();
        Self { hits, misses: stats.misses.get(), store_times: stats.store_times.counts() }
    }

    fn since(&self, before: &Self) -> Self {
        let mut store_times = self.store_times;
        for (count, before) in store_times.iter_mut().zip(before.store_times) {
            *count -= before;
        }
        Self { hits: self.hits - before.hits, misses: self.misses - before.misses, store_times }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_minute_does_not_count() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for n in 0..=30_u64 {
            meter.add(start + Duration::from_secs(5 * n), sample(10 * n, n, 0));
        }
        let lately = meter.lately();
        assert_eq!((lately.hits, lately.misses, lately.store_times[6]), (120, 12, 120));
    }
}
