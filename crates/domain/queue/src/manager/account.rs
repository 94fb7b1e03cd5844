//! What operators ask to see whether all is well, and to make it so: the conservation audit and the repair.

use trackside_core::QueueName;

use super::QueueManager;
use crate::{Error, QueueAudit, RepairCursor, RepairPage};

// === impl QueueManager ===

impl QueueManager {
    /// Where every task of a queue is that was ever accepted (Q-L29); all zero for one that does not exist.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error> {
        self.inner.store.audit(queue).await
    }

    /// Puts a part of a queue right (Q-L30); call it with the cursor that it answers until there is none. A task whose
    /// record is gone cannot be brought back, and counts are left as they are, so that the audit goes on to tell of it.
    ///
    /// # Errors
    /// The store's.
    pub async fn repair(&self, queue: &QueueName, cursor: Option<RepairCursor>) -> Result<RepairPage, Error> {
        self.inner.store.repair(queue, cursor).await
    }
}
