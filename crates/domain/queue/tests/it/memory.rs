//! The laws, on the store in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use trackside_core::{ManualClock, QueueName};
use trackside_queue::{Config, MemoryQueueStore, QueueStore, conformance::Harness};

use crate::names::unique_queue;

struct InMemory {
    config: Config,
    clock: ManualClock,
    store: MemoryQueueStore,
}

impl InMemory {
    fn new() -> Self {
        let (config, clock) = (Config { dead_max_count: 260, ..Config::default() }, ManualClock::default());
        let store = MemoryQueueStore::new(config.clone(), Arc::new(clock.clone()));
        Self { config, clock, store }
    }
}

#[async_trait]
impl Harness for InMemory {
    fn store(&self) -> &dyn QueueStore {
        &self.store
    }

    fn config(&self) -> &Config {
        &self.config
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn queue(&self) -> QueueName {
        unique_queue()
    }
}

trackside_queue::queue_store_conformance!(async { InMemory::new() });
