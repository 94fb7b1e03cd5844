//! The index of queues on Redis.

use trackside_core::QueueName;
use trackside_redis::Command;

use super::{Inner, call::failed, keys};
use crate::Error;

// === impl Inner ===

impl Inner {
    /// Whether it was not known before.
    pub(super) async fn register(&self, queue: &QueueName) -> Result<bool, Error> {
        let command = Command::new("SADD").key(keys::queues(self.redis.prefix())).arg(queue.as_str());
        let reply = self.redis.execute("queue.register", command).await;
        reply.and_then(|added| added.as_bool()).map_err(|error| failed("queue.register", error))
    }

    /// The names of all known queues, sorted.
    pub(super) async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        // allow(SMEMBERS): an operator names the queues, so there are tens of them.
        let command = Command::new("SMEMBERS").key(keys::queues(self.redis.prefix()));
        let names = self.redis.execute("queue.list", command).await.and_then(|reply| reply.into_array());
        let mut queues = Vec::new();
        for name in names.map_err(|error| failed("queue.list", error))? {
            let name = name.into_string().map_err(|error| failed("queue.list", error))?;
            match name.parse() {
                Ok(queue) => queues.push(queue),
                // Written by somebody else: one bad name must not hide the good ones.
                Err(invalid) => tracing::warn!(queue.name = %name, error = %invalid, "a listed queue is left out"),
            }
        }
        queues.sort();
        Ok(queues)
    }
}
