//! The queues that this process has met, and what happens when it meets one.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use trackside_core::{QueueName, TaskId};

use super::QueueManager;
use crate::Error;

/// Called the first time this process meets a queue, before it is used: the place to bring the brake into it.
///
/// A hook may use the operations of the manager that do not meet queues: [`QueueManager::set_brake`], pause, statistics
/// and the like. Enqueueing into the same queue or leasing from it would wait for the hook itself.
#[async_trait]
pub trait RegistrationHook: Send + Sync + Debug + 'static {
    /// Prepares `queue`. When it fails, the call that met the queue fails, and the next one tries again.
    async fn on_register(&self, queues: &QueueManager, queue: &QueueName) -> Result<(), Error>;
}

/// Queues met, each with the cell that lets exactly one caller do the meeting.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Queues heard of, met or not: where to look for a task first.
    known: Mutex<BTreeSet<QueueName>>,
    cells: Mutex<HashMap<QueueName, Arc<OnceCell<()>>>>,
    hooks: Mutex<Vec<Arc<dyn RegistrationHook>>>,
}

// === impl Registry ===

impl Registry {
    /// The queues heard of that may hold the task.
    pub(super) fn homes(&self, id: TaskId) -> Vec<QueueName> {
        self.known().iter().filter(|queue| id.may_belong_to(queue)).cloned().collect()
    }

    /// Notes a queue in which a task was found.
    pub(super) fn note(&self, queue: &QueueName) {
        let mut known = self.known();
        if !known.contains(queue) {
            known.insert(queue.clone());
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<QueueName>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, queue: &QueueName) -> Arc<OnceCell<()>> {
        let mut cells = self.cells();
        if let Some(cell) = cells.get(queue) {
            return Arc::clone(cell);
        }
        Arc::clone(cells.entry(queue.clone()).or_default())
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<QueueName, Arc<OnceCell<()>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> MutexGuard<'_, Vec<Arc<dyn RegistrationHook>>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl QueueManager ===

impl QueueManager {
    /// Adds a hook for queues that are met from now on. Hooks run in the order in which they were added.
    pub fn on_register(&self, hook: Arc<dyn RegistrationHook>) {
        self.inner.registry.hooks().push(hook);
    }

    /// Makes a queue known to the store and runs the hooks, unless this process has met it before.
    ///
    /// Enqueueing, leasing and processors do this by themselves; calling it makes a queue visible before its first
    /// task. Cancel-safe.
    ///
    /// # Errors
    /// The store's and the hooks'.
    pub async fn meet(&self, queue: &QueueName) -> Result<(), Error> {
        let cell = self.inner.registry.cell(queue);
        let meeting = cell.get_or_try_init(|| async {
            let is_new = self.inner.store.register(queue).await?;
            let hooks = self.inner.registry.hooks().clone();
            for hook in hooks {
                hook.on_register(self, queue).await?;
            }
            self.inner.registry.note(queue);
            tracing::debug!(queue.name = %queue, queue.new = is_new, "queue met");
            Ok(())
        });
        meeting.await.copied()
    }
}
