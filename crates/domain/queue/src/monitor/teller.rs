//! Telling changes of alerts, beside the watch: a receiver that takes its time does not hold it up.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::join_all;
use tokio::task::{AbortHandle, JoinSet};
use trackside_core::QueueName;

use super::AlertNotifier;
use crate::{Alert, AlertBoard, AlertRule, AlertState};

/// Tells each change in a task of its own. Dropping it ends them: what was not confirmed is told by another process.
pub(super) struct Teller {
    board: Arc<dyn AlertBoard>,
    notifiers: Vec<Arc<dyn AlertNotifier>>,
    /// The latest change of each alert that this process was given to tell.
    changes: HashMap<(QueueName, AlertRule), Change>,
    tasks: JoinSet<()>,
}

struct Change {
    id: String,
    audience: Arc<[Listener]>,
    task: AbortHandle,
}

/// A notifier, and how far it is with one change.
struct Listener {
    notifier: Arc<dyn AlertNotifier>,
    has_heard: AtomicBool,
    has_failed: AtomicBool,
}

// === impl Teller ===

impl Teller {
    pub(super) fn new(board: Arc<dyn AlertBoard>, notifiers: Vec<Arc<dyn AlertNotifier>>) -> Self {
        Self { board, notifiers, changes: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Begins to tell a change. One that was told in part is told to the rest; one that is being told is left alone.
    pub(super) fn tell(&mut self, alert: Alert) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(error = &error as &dyn std::error::Error, "telling an alert panicked");
            }
        }
        let (place, id) = ((alert.queue.clone(), alert.rule), alert.id());
        let audience = match self.changes.get(&place) {
            Some(known) if known.id == id && !known.task.is_finished() => return,
            Some(known) if known.id == id => Arc::clone(&known.audience),
            known => {
                // What it was before is of no interest any more.
                if let Some(older) = known {
                    older.task.abort();
                }
                log(&alert);
                self.notifiers.iter().map(Listener::new).collect()
            }
        };
        let task = self.tasks.spawn(tell_all(Arc::clone(&self.board), Arc::clone(&audience), alert));
        self.changes.insert(place, Change { id, audience, task });
    }

    /// Ends what is being told.
    pub(super) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Tells everybody who has not heard, and confirms the change when all have.
async fn tell_all(board: Arc<dyn AlertBoard>, audience: Arc<[Listener]>, alert: Alert) {
    let heard = join_all(audience.iter().map(|listener| listener.tell(&alert))).await;
    if heard.into_iter().all(|heard| heard)
        && let Err(error) = board.told(&alert).await
    {
        let id = alert.id();
        tracing::warn!(alert.id = id, error = &error as &dyn std::error::Error, "an alert was told, but not confirmed");
    }
}

fn log(alert: &Alert) {
    let (queue, rule, message) = (&alert.queue, alert.rule.as_str(), alert.message());
    match alert.state {
        AlertState::Firing => {
            tracing::warn!(queue.name = %queue, alert.rule = rule, alert.value = alert.value, "{message}");
        }
        AlertState::Resolved => {
            tracing::info!(queue.name = %queue, alert.rule = rule, alert.value = alert.value, "{message}");
        }
    }
}

// === impl Listener ===

impl Listener {
    fn new(notifier: &Arc<dyn AlertNotifier>) -> Self {
        let (has_heard, has_failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { notifier: Arc::clone(notifier), has_heard, has_failed }
    }

    /// Whether it has heard, now or before. Only the first failure with a change is logged.
    async fn tell(&self, alert: &Alert) -> bool {
        if self.has_heard.load(Ordering::Relaxed) {
            return true;
        }
        let told = self.notifier.notify(alert).await;
        self.has_heard.store(told.is_ok(), Ordering::Relaxed);
        if let Err(reason) = &told
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            let (id, name) = (alert.id(), self.notifier.name());
            let message = "an alert could not be told; it will be again";
            tracing::warn!(alert.id = id, alert.notifier = name, reason, message);
        }
        told.is_ok()
    }
}
