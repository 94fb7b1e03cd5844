//! Watches every queue: rates, alerts with hysteresis, old dead letters. Runs in every process; none leads.

mod activity;
mod rules;
mod teller;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use trackside_core::QueueName;

use self::{activity::Meter, rules::Rules, teller::Teller};
pub use self::{activity::QueueActivity, rules::Thresholds};
use crate::{Alert, AlertBoard, Error, MAX_BATCH, QueueManager};

/// The settings of a monitor.
///
/// ```
/// use trackside_queue::MonitorConfig;
/// let config = MonitorConfig::default();
/// assert_eq!((config.thresholds.backlog_above, config.thresholds.backlog_clear), (Some(100), 80));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorConfig {
    /// How often the queues are looked at.
    pub every: Duration,
    /// How often audits are drawn and dead letters pruned.
    pub upkeep_every: Duration,
    /// When to alert.
    pub thresholds: Thresholds,
    /// A change that nobody confirmed for this long is told again, by any process.
    pub patience: Duration,
}

/// Tells people of an alert. May be asked to tell a change again: [`Alert::id`] names it.
#[async_trait]
pub trait AlertNotifier: Send + Sync + 'static {
    /// Where it tells, for the log.
    fn name(&self) -> &'static str;

    /// Tells, and may take its time: the watch goes on meanwhile. After a failure the change is told again later: by this
    /// process to who has not heard, or by another to everybody.
    ///
    /// # Errors
    /// Why nobody heard, in words for the log.
    async fn notify(&self, alert: &Alert) -> Result<(), String>;
}

/// Watches every queue of a manager. Cheap to clone; one clone is run.
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::{QueueName, SystemClock};
/// use trackside_queue::{Config, MemoryAlertBoard, MemoryQueueStore, MonitorConfig, QueueManager, QueueMonitor};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), trackside_queue::Error> {
/// let clock = Arc::new(SystemClock::default());
/// let store = MemoryQueueStore::new(Config::default(), clock.clone());
/// let queues = QueueManager::new(Arc::new(store), Config::default());
/// let monitor = QueueMonitor::new(queues, Arc::new(MemoryAlertBoard::new(clock)), MonitorConfig::default());
/// let handle = monitor.handle();
/// let shutdown = tokio_util::sync::CancellationToken::new();
/// # shutdown.cancel();
/// monitor.run(shutdown).await;
/// assert!(handle.alerts().await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct QueueMonitor {
    queues: QueueManager,
    board: Arc<dyn AlertBoard>,
    notifiers: Vec<Arc<dyn AlertNotifier>>,
    config: MonitorConfig,
    activity: Arc<watch::Sender<HashMap<QueueName, QueueActivity>>>,
}

/// A monitor at work.
struct Watch {
    monitor: QueueMonitor,
    rules: Rules,
    meters: HashMap<QueueName, Meter>,
    teller: Teller,
}

/// What a monitor knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MonitorHandle {
    board: Arc<dyn AlertBoard>,
    activity: watch::Receiver<HashMap<QueueName, QueueActivity>>,
}

/// Queues asked at the same time.
const ASKED_AT_ONCE: usize = 16;

// === impl MonitorConfig ===

impl Default for MonitorConfig {
    /// Every 5 s; upkeep every minute; the patience is 30 s.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            upkeep_every: Duration::from_secs(60),
            thresholds: Thresholds::default(),
            patience: Duration::from_secs(30),
        }
    }
}

// === impl QueueMonitor ===

impl QueueMonitor {
    /// A monitor of all queues of `queues`. It does nothing until it is run.
    #[must_use]
    pub fn new(queues: QueueManager, board: Arc<dyn AlertBoard>, config: MonitorConfig) -> Self {
        let activity = Arc::new(watch::Sender::new(HashMap::new()));
        Self { queues, board, notifiers: Vec::new(), config, activity }
    }

    /// Tells `notifier` of every change that this process is to tell, besides the log.
    #[must_use]
    pub fn with_notifier(mut self, notifier: impl AlertNotifier) -> Self {
        self.notifiers.push(Arc::new(notifier));
        self
    }

    /// What the monitor knows; stays good after it was run.
    #[must_use]
    pub fn handle(&self) -> MonitorHandle {
        MonitorHandle { board: Arc::clone(&self.board), activity: self.activity.subscribe() }
    }

    /// Watches until `shutdown` is cancelled. With the store away it goes on trying.
    ///
    /// Several processes may watch the same queues: a change is told by one of them.
    pub async fn run(self, shutdown: CancellationToken) {
        let (every, upkeep_every) = (self.config.every, self.config.upkeep_every);
        let rules = Rules::new(self.config.thresholds.clone());
        let teller = Teller::new(Arc::clone(&self.board), self.notifiers.clone());
        let mut watch = Watch { monitor: self, rules, meters: HashMap::new(), teller };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut upkeep_at = Instant::now();
        let mut is_away = false;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_upkeep = upkeep_at <= Instant::now();
            if is_upkeep {
                upkeep_at = Instant::now() + upkeep_every;
            }
            match shutdown.run_until_cancelled(watch.look(is_upkeep)).await {
                None => break,
                Some(Ok(())) => is_away = false,
                Some(Err(error)) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the queues cannot be watched now");
                    }
                }
            }
        }
        watch.teller.shutdown().await;
    }
}

impl std::fmt::Debug for QueueMonitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueMonitor").field("config", &self.config).finish_non_exhaustive()
    }
}

// === impl Watch ===

impl Watch {
    /// One look at every queue.
    async fn look(&mut self, is_upkeep: bool) -> Result<(), Error> {
        let now = Instant::now();
        let names = self.monitor.queues.queues().await?;
        self.meters.retain(|queue, _| names.contains(queue));
        let queues = self.monitor.queues.clone();
        let ask = |queue: QueueName| {
            let queues = queues.clone();
            async move {
                let stats = queues.stats(&queue).await?;
                let audit = if is_upkeep { Some(queues.audit(&queue).await?) } else { None };
                Ok::<_, Error>((queue, stats, audit))
            }
        };
        let looks: Vec<Result<_, Error>> = stream::iter(names).map(ask).buffered(ASKED_AT_ONCE).collect().await;
        // A queue that cannot be asked, such as one whose keys somebody else uses, must not hide the others.
        let (mut seen, mut failure) = (Vec::new(), None);
        for look in looks {
            match look {
                Ok(look) => seen.push(look),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let known = self.monitor.board.alerts().await?;
        let mut observed = Vec::new();
        for (queue, stats, audit) in &seen {
            let meter = self.meters.entry(queue.clone()).or_default();
            meter.add(now, stats);
            observed.extend(self.rules.observe(queue, stats, &meter.activity(), audit.as_ref(), &known));
        }
        let activity = self.meters.iter().map(|(queue, meter)| (queue.clone(), meter.activity())).collect();
        self.monitor.activity.send_replace(activity);
        for chunk in observed.chunks(MAX_BATCH) {
            for change in self.monitor.board.note(chunk, self.monitor.config.patience).await? {
                self.teller.tell(change);
            }
        }
        if is_upkeep {
            for (queue, _, _) in &seen {
                let pruned = self.monitor.queues.prune_dead(queue).await?;
                if pruned > 0 {
                    tracing::info!(queue.name = %queue, task.count = pruned, "old dead letters were purged");
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

// === impl MonitorHandle ===

impl MonitorHandle {
    /// The rates of a queue over the last minute, as far as this process has watched it; `None` when it has not.
    #[must_use]
    pub fn activity(&self, queue: &QueueName) -> Option<QueueActivity> {
        self.activity.borrow().get(queue).copied()
    }

    /// Alerts that fire, and those resolved within a day.
    ///
    /// # Errors
    /// The board's.
    pub async fn alerts(&self) -> Result<Vec<Alert>, Error> {
        self.board.alerts().await
    }
}
