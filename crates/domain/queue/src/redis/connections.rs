//! Connections of their own for calls that the server holds back, kept for the next such call.

use std::sync::{Mutex, PoisonError};

use trackside_redis::{BlockingConnection, RedisService};

use super::call::failed;
use crate::Error;

/// Connections that nobody uses at the moment. One whose call failed or was dropped is not given back, and closes.
#[derive(Debug)]
pub(super) struct Connections {
    /// What they are for.
    operation: &'static str,
    idle: Mutex<Vec<BlockingConnection>>,
}

// === impl Connections ===

impl Connections {
    pub(super) const fn new(operation: &'static str) -> Self {
        Self { operation, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn take(&self, redis: &RedisService) -> Result<BlockingConnection, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => redis.blocking(self.operation).map_err(|error| failed(self.operation, error)),
        }
    }

    pub(super) fn give_back(&self, connection: BlockingConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
