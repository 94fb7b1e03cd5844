//! The watch over the namespaces of this process: what happened in the last minute, whether that is within bounds, and telling.

mod meter;
mod rules;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use trackside_core::Timestamp;

use self::{
    meter::{Meter, Sample},
    rules::{Look, looks},
};
use super::{CacheManager, Inner, Space};
use crate::{CacheAlert, CacheAlertNotifier, CacheAlertRule, NamespaceName};

/// After a failure, a change is told again after so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Resolved alerts are remembered for a day.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
