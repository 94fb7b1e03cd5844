//! What operators do: pausing queues, and the brake.

use std::collections::HashSet;

use trackside_core::QueueName;

use super::QueueManager;
use crate::{BrakeChange, BrakeScope, Error, QueuePolicy, WorkerStatus};

/// Parked tasks that are returned in one round trip.
const UNPARK_AT_ONCE: usize = 64;

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
        let mut failure = None;
        for queue in self.queues().await? {
            if let Err(error) = self.set_brake(&queue, change).await {
                failure.get_or_insert(error);
            }
        }
        if change.engaged {
            // Again, for a task whose claim was on its way while the queues learned of the brake.
            self.stop_braked(&change.scope);
        }
        failure.map_or(Ok(()), Err)
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
        let mut parked = 0;
        for queue in self.queues().await? {
            parked += self.inner.store.parked(&queue, scope).await?;
        }
        Ok(parked)
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
        let (mut released, mut failure) = (0, None);
        for queue in self.queues().await? {
            match self.reconcile_queue(&queue, on, revision).await {
                Ok(count) => released += count,
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(released), Err)
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
