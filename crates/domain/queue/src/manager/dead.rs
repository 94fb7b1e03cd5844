//! What operators do with dead letters: read them, try them again, remove them, and let go of old ones.

use trackside_core::{QueueName, TaskId};

use super::QueueManager;
use crate::{DeadCursor, DeadFilter, DeadLetter, DeadPage, DeadRef, Error, MAX_BATCH, Swept};

/// Letters that are looked at in one round trip for those that a filter means: they come with their payloads.
const LOOK: usize = 64;
/// Letters that one call looks at; it answers where to go on.
const MAX_LOOKED_AT: usize = 4_096;
/// Round trips of one call that prunes; the next call does the rest.
const MAX_PRUNES: usize = 40;

/// What is done with the letters that are meant.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Requeue,
    Purge,
}

// === impl QueueManager ===

impl QueueManager {
    /// A page of dead letters, newest first: up to `limit` (at most [`MAX_BATCH`]) that are older than `cursor`.
    ///
    /// # Errors
    /// The store's.
    pub async fn dead_letters(
        &self,
        queue: &QueueName,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.inner.store.dead_letters(queue, cursor, limit.min(MAX_BATCH)).await
    }

    /// A page of the dead letters that `filter` means, newest first, of those that are older than `cursor`.
    ///
    /// One call looks at a few thousand letters at most, so that a page may hold fewer than `limit`, or none, and still
    /// say where to go on.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<DeadPage, Error> {
        let limit = limit.clamp(1, MAX_BATCH);
        let look = if filter.is_empty() { limit } else { LOOK };
        let mut page = DeadPage { letters: Vec::new(), next: cursor };
        let mut looked_at = 0;
        loop {
            let letters = self.inner.store.dead_letters(queue, page.next, look).await?;
            looked_at += letters.len();
            let is_last = letters.len() < look;
            for letter in letters {
                if filter.is_past(&letter) {
                    return Ok(DeadPage { next: None, ..page });
                }
                page.next = Some(letter.cursor());
                if filter.means(&letter) {
                    page.letters.push(letter);
                    if page.letters.len() == limit {
                        return Ok(page);
                    }
                }
            }
            if is_last {
                return Ok(DeadPage { next: None, ..page });
            }
            if looked_at >= MAX_LOOKED_AT {
                return Ok(page);
            }
        }
    }

    /// Returns dead letters to the tail of their levels with their attempts and crashes forgotten; answers how many.
    ///
    /// # Errors
    /// The store's. May be repeated: what was returned before is not counted again.
    pub async fn requeue_dead(&self, queue: &QueueName, ids: &[TaskId]) -> Result<usize, Error> {
        self.decide(queue, Verdict::Requeue, ids.iter().copied().map(DeadRef::from)).await
    }

    /// Removes dead letters for good; answers how many.
    ///
    /// # Errors
    /// The store's. May be repeated: what was removed before is not counted again.
    pub async fn purge_dead(&self, queue: &QueueName, ids: &[TaskId]) -> Result<usize, Error> {
        self.decide(queue, Verdict::Purge, ids.iter().copied().map(DeadRef::from)).await
    }

    /// Requeues up to about `limit` of the dead letters that `filter` means and that are older than `cursor`, newest
    /// first. One that was requeued by somebody else and died anew meanwhile is left alone (Q-L31).
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn requeue_matching(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Swept, Error> {
        self.sweep(queue, Verdict::Requeue, filter, cursor, limit).await
    }

    /// Removes up to about `limit` of the dead letters that `filter` means, as
    /// [`requeue_matching`](Self::requeue_matching) returns them.
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn purge_matching(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Swept, Error> {
        self.sweep(queue, Verdict::Purge, filter, cursor, limit).await
    }

    /// Purges the dead letters of a queue that are kept no longer (Q-L32); answers how many. One call prunes ten thousand
    /// at most. Several processes may prune at once.
    ///
    /// # Errors
    /// The store's. May be repeated.
    pub async fn prune_dead(&self, queue: &QueueName) -> Result<usize, Error> {
        let mut pruned = 0;
        for _ in 0..MAX_PRUNES {
            let overdue = self.inner.store.overdue_dead(queue, MAX_BATCH).await?;
            let found = overdue.len();
            pruned += self.decide(queue, Verdict::Purge, overdue.into_iter().map(DeadRef::from)).await?;
            if found < MAX_BATCH {
                break;
            }
        }
        Ok(pruned)
    }

    async fn sweep(
        &self,
        queue: &QueueName,
        verdict: Verdict,
        filter: &DeadFilter,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Swept, Error> {
        let (mut swept, mut meant) = (Swept { done: 0, next: cursor }, 0);
        while meant < limit.max(1) {
            let page = self.find_dead(queue, filter, swept.next, limit - meant).await?;
            meant += page.letters.len();
            let (given, is_empty) = (swept.next, page.letters.is_empty());
            swept.done += self.decide(queue, verdict, page.letters.iter().map(|it| it.cursor().into())).await?;
            swept.next = page.next;
            // A call that found nothing within its bound answers where to go on.
            if swept.next.is_none() || is_empty || swept.next == given {
                break;
            }
        }
        Ok(swept)
    }

    async fn decide(
        &self,
        queue: &QueueName,
        verdict: Verdict,
        letters: impl Iterator<Item = DeadRef>,
    ) -> Result<usize, Error> {
        let (letters, mut done): (Vec<DeadRef>, usize) = (letters.collect(), 0);
        for chunk in letters.chunks(MAX_BATCH) {
            done += match verdict {
                Verdict::Requeue => self.inner.store.requeue_dead(queue, chunk).await?,
                Verdict::Purge => self.inner.store.purge_dead(queue, chunk).await?,
            };
        }
        Ok(done)
    }
}
