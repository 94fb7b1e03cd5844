//! The laws of schedules, against both stores.

mod memory {
    use std::{sync::Arc, time::Duration};

    use async_trait::async_trait;
    use trackside_core::ManualClock;
    use trackside_queue::{MemoryScheduleStore, ScheduleStore, conformance::ScheduleHarness};

    struct InMemory(ManualClock, MemoryScheduleStore);

    #[async_trait]
    impl ScheduleHarness for InMemory {
        fn store(&self) -> &dyn ScheduleStore {
            &self.1
        }

        async fn advance(&self, by: Duration) {
            self.0.advance(by);
        }
    }

    trackside_queue::schedule_store_conformance!(async {
        let clock = ManualClock::default();
        let store = MemoryScheduleStore::new(Arc::new(clock.clone()));
        InMemory(clock, store)
    });
}

#[cfg(feature = "redis")]
mod redis {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use async_trait::async_trait;
    use trackside_queue::{RedisScheduleStore, ScheduleStore, conformance::ScheduleHarness};
    use trackside_testkit::RedisServer;

    use crate::redis_kit::connect;

    struct OnRedis(Arc<AtomicU64>, RedisScheduleStore);

    #[async_trait]
    impl ScheduleHarness for OnRedis {
        fn store(&self) -> &dyn ScheduleStore {
            &self.1
        }

        async fn advance(&self, by: Duration) {
            self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
        }
    }

    trackside_queue::schedule_store_conformance!(async {
        let server = RedisServer::shared().await;
        let service = connect(&server.url(), &server.unique_prefix()).await;
        let offset_ms = Arc::new(AtomicU64::new(0));
        let store = RedisScheduleStore::with_clock_offset(service, Arc::clone(&offset_ms));
        OnRedis(offset_ms, store)
    });
}
