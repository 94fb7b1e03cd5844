//! What operators do: pausing queues, and the brake.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use trackside_core::QueueName;

use super::QueueManager;
use crate::{BrakeChange, BrakeScope, Error, QueuePolicy, WorkerStatus};

/// Parked tasks that are returned in one round trip.
const UNPARK_AT_ONCE: usize = 64;
/// Queues that are asked or told at the same time: somebody waits for the brake.
const QUEUES_AT_ONCE: usize = 16;

// === impl QueueManager ===

impl QueueManager {
    /// Stops handing out tasks of a queue. What runs goes on, and tasks are still accepted (Q-L13).
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn pause(&self, queue: &QueueName) -> Result<(), Error> {
        self.inner.store.set_paused(queue, true).await
    }

    /// Hands out tasks of a queue again.
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn resume(&self, queue: &QueueName) -> Result<(), Error> {
        self.inner.store.set_paused(queue, false).await
    }

    /// Replaces the limits of a queue, for all processes and at once.
    ///
    /// # Errors
    /// [`Error::InvalidPolicy`]; the store's. May be repeated.
    pub async fn set_policy(&self, queue: &QueueName, policy: &QueuePolicy) -> Result<(), Error> {
        policy.check()?;
        self.inner.store.set_policy(queue, policy).await?;
        tracing::info!(queue.name = %queue, queue.policy = ?policy, "the limits of a queue were set");
        Ok(())
    }

    /// The limits of a queue; the default, which limits nothing, for one that does not exist.
    ///
    /// # Errors
    /// The store's.
    pub async fn policy(&self, queue: &QueueName) -> Result<QueuePolicy, Error> {
        self.inner.store.policy(queue).await
    }

    /// The workers of a queue by name, and what they hold (Q-L33).
    ///
    /// # Errors
    /// The store's.
    pub async fn workers(&self, queue: &QueueName) -> Result<Vec<WorkerStatus>, Error> {
        self.inner.store.workers(queue).await
    }

    /// Brings a change of the brake into every queue and stops what runs in this process.
    ///
    /// Every queue is tried even when one fails. May be repeated: revisions make it idempotent (Q-L11).
    ///
    /// # Errors
    /// The first of the store's errors.
    pub async fn apply_brake(&self, change: &BrakeChange) -> Result<(), Error> {
        if change.engaged {
            // First, so that it happens with the store away too.
            self.stop_braked(&change.scope);
        }
        let tell = |queue| async move { self.set_brake(&queue, change).await };
        let told: Vec<_> = stream::iter(self.queues().await?).map(tell).buffered(QUEUES_AT_ONCE).collect().await;
        if change.engaged {
            // Again, for a task whose claim was on its way while the queues learned of the brake.
            self.stop_braked(&change.scope);
        }
        told.into_iter().collect()
    }

    /// Brings a change of the brake into one queue, and on a release returns its parked tasks.
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn set_brake(&self, queue: &QueueName, change: &BrakeChange) -> Result<(), Error> {
        self.inner.store.set_brake(queue, change).await?;
        if !change.engaged {
            self.unpark(queue, &change.scope).await?;
        }
        Ok(())
    }

    /// Tells every task of this process that the scope holds to stop; answers how many were told.
    pub fn stop_braked(&self, scope: &BrakeScope) -> usize {
        self.processors().iter().map(|processor| processor.stop_braked(scope)).sum()
    }

    /// Tasks held back by the brake in all queues: those of a user, or all of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn parked(&self, scope: &BrakeScope) -> Result<u64, Error> {
        let ask = |queue| async move { self.inner.store.parked(&queue, scope).await };
        let parked = stream::iter(self.queues().await?).map(ask).buffered(QUEUES_AT_ONCE);
        parked.try_fold(0, |all, parked| async move { Ok(all + parked) }).await
    }

    /// Lets go, in every queue, of what no release will reach any more: brakes that are not among those `on` as of
    /// `revision`, and parked tasks that no brake holds. Answers how many brakes were released.
    ///
    /// This is what remains when a process dies between changing the brake and telling the queues. A brake that is
    /// newer than `revision` stays. Every queue is tried even when one fails.
    ///
    /// # Errors
    /// The first of the store's errors. May be repeated.
    pub async fn reconcile_brakes(&self, on: &HashSet<BrakeScope>, revision: u64) -> Result<usize, Error> {
        let reconcile = |queue| async move { self.reconcile_queue(&queue, on, revision).await };
        let queues = stream::iter(self.queues().await?).map(reconcile).buffered(QUEUES_AT_ONCE);
        let released: Vec<Result<usize, Error>> = queues.collect().await;
        released.into_iter().sum()
    }

    async fn reconcile_queue(
        &self,
        queue: &QueueName,
        on: &HashSet<BrakeScope>,
        revision: u64,
    ) -> Result<usize, Error> {
        let (mut released, mut cursor) = (0, 0);
        loop {
            let page = self.inner.store.braked(queue, cursor).await?;
            let left = page.brakes.into_iter().filter(|brake| brake.revision < revision && !on.contains(&brake.scope));
            for brake in left {
                self.set_brake(queue, &BrakeChange { engaged: false, revision, ..brake }).await?;
                released += 1;
            }
            if page.next == 0 {
                break;
            }
            cursor = page.next;
        }
        // Also those of a brake whose release died before it had returned all of them.
        self.unpark(queue, &BrakeScope::Everyone).await?;
        Ok(released)
    }

    async fn unpark(&self, queue: &QueueName, scope: &BrakeScope) -> Result<(), Error> {
        while self.inner.store.unpark(queue, scope, UNPARK_AT_ONCE).await? == UNPARK_AT_ONCE {}
        Ok(())
    }
}
