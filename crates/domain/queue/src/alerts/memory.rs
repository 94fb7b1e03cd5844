//! Alerts of one process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use trackside_core::{Clock, QueueName, Timestamp};

use super::{Alert, AlertBoard, AlertRule, AlertState, Observation, REMEMBERED_MS};
use crate::{Error, limits};

/// Alerts in memory, obeying the laws of [`AlertBoard`].
///
/// ```
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_queue::MemoryAlertBoard;
/// let board = MemoryAlertBoard::new(Arc::new(SystemClock::default()));
/// # let _ = board;
/// ```
#[derive(Debug)]
pub struct MemoryAlertBoard {
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<(QueueName, AlertRule), Known>>,
}

#[derive(Debug)]
struct Known {
    alert: Alert,
    /// When somebody last took it upon them to tell.
    claimed_at: Timestamp,
    told: bool,
}

// === impl MemoryAlertBoard ===

impl MemoryAlertBoard {
    /// No alerts; times by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(QueueName, AlertRule), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AlertBoard for MemoryAlertBoard {
    async fn note(&self, observed: &[Observation], patience: Duration) -> Result<Vec<Alert>, Error> {
        limits::check_batch(observed.len())?;
        let now = self.clock.now();
        let (mut board, mut changes) = (self.lock(), Vec::new());
        for seen in observed {
            let key = (seen.queue.clone(), seen.rule);
            let is_firing = board.get(&key).is_some_and(|known| known.alert.state == AlertState::Firing);
            if seen.holds != is_firing {
                let since = board.get(&key).filter(|_| is_firing).map_or(now, |known| known.alert.since);
                let state = if seen.holds { AlertState::Firing } else { AlertState::Resolved };
                let (value, threshold, queue) = (seen.value, seen.threshold, seen.queue.clone());
                let alert = Alert { queue, rule: seen.rule, state, since, changed_at: now, value, threshold };
                changes.push(alert.clone());
                board.insert(key, Known { alert, claimed_at: now, told: false });
            } else if let Some(known) = board.get_mut(&key)
                && !known.told
                && limits::later(known.claimed_at, patience) < now
            {
                known.claimed_at = now;
                changes.push(known.alert.clone());
            }
        }
        Ok(changes)
    }

    async fn told(&self, alert: &Alert) -> Result<(), Error> {
        if let Some(known) = self.lock().get_mut(&(alert.queue.clone(), alert.rule))
            && known.alert.changed_at == alert.changed_at
        {
            known.told = true;
        }
        Ok(())
    }

    async fn alerts(&self) -> Result<Vec<Alert>, Error> {
        let now = self.clock.now();
        let mut board = self.lock();
        board.retain(|_, known| {
            known.alert.state == AlertState::Firing || now.millis_since(known.alert.changed_at) < REMEMBERED_MS
        });
        Ok(board.values().map(|known| known.alert.clone()).collect())
    }
}
