//! What operators ask to see whether all is well: the conservation audit.

use trackside_core::QueueName;

use super::QueueManager;
use crate::{Error, QueueAudit};

// === impl QueueManager ===

impl QueueManager {
    /// Where every task of a queue is that was ever accepted (Q-L29); all zero for one that does not exist.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error> {
        self.inner.store.audit(queue).await
    }
}
